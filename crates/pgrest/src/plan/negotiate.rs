//! Which media type is made, and by what.

use crate::{
    error::Refusal,
    grammar::select::SelectItem,
    media::{MediaType, PlanType},
    name::QualifiedName,
    request::{Options, Request},
    schema::{Handler, Returns, Routine, Schema},
};

/// What the body will be.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    /// Its type.
    pub(crate) media: MediaType,
    /// An aggregate that makes it of the rows, and the relation whose row type it wants.
    pub(crate) aggregate: Option<(QualifiedName, Option<QualifiedName>)>,
    /// The function's value is the body as it is.
    pub(crate) is_raw: bool,
    /// The function gives one value or row and not a set.
    pub(crate) is_single_value: bool,
    /// PostgreSQL's plan is wanted and not the body.
    pub(crate) explain: Option<Box<PlanType>>,
}

impl Shape {
    fn plain(media: MediaType) -> Shape {
        Shape {
            media,
            aggregate: None,
            is_raw: false,
            is_single_value: false,
            explain: None,
        }
    }

    /// Whether rows are not shown as JSON.
    pub(crate) fn is_text(&self) -> bool {
        self.aggregate.is_some() || self.media == MediaType::Csv
    }
}

impl Schema {
    /// For rows of a relation, or of none that is known.
    pub(super) fn negotiate_rows(
        &self,
        request: &Request,
        options: &Options,
        relation: Option<&QualifiedName>,
    ) -> Result<Shape, Refusal> {
        // A handler of a table's own rows can make nothing of others.
        let is_whole_row = matches!(request.query.select.as_slice(), [] | [SelectItem::Star]);
        let relation = relation.filter(|_| is_whole_row);
        let found = request
            .accept
            .iter()
            .find_map(|media| self.rows_as(media, options, relation));
        found.ok_or_else(|| Refusal::MediaType(request.accept.iter().map(MediaType::name).collect()))
    }

    /// For what a function gives.
    pub(super) fn negotiate_call(
        &self,
        request: &Request,
        options: &Options,
        routine: &Routine,
    ) -> Result<Shape, Refusal> {
        let none = || Refusal::MediaType(request.accept.iter().map(MediaType::name).collect());
        if let Some(own) = self.media_of(routine) {
            let own = MediaType::parse(own);
            let found = request.accept.iter().find_map(|media| {
                let (asked, explain) = asked(media, options)?;
                let fits = asked == own || asked == MediaType::Any || own == MediaType::Any;
                // A function that makes whatever is asked for says itself what it made.
                let media = if own == MediaType::Any {
                    MediaType::Bytes
                } else {
                    own.clone()
                };
                fits.then(|| Shape {
                    is_raw: true,
                    is_single_value: !routine.is_set,
                    explain,
                    ..Shape::plain(media)
                })
            });
            return found.ok_or_else(none);
        }
        let mut shape = self.negotiate_rows(request, options, routine.relation())?;
        let is_row = matches!(routine.returns, Returns::Row(_) | Returns::Record);
        let is_one_object = is_row && matches!(shape.media, MediaType::Object { .. });
        shape.is_single_value = !routine.is_set && !is_one_object;
        Ok(shape)
    }

    fn rows_as(&self, media: &MediaType, options: &Options, relation: Option<&QualifiedName>) -> Option<Shape> {
        let (media, explain) = asked(media, options)?;
        let by = |handler: &Handler| Shape {
            aggregate: Some((handler.function.clone(), handler.relation.clone())),
            ..Shape::plain(if handler.media == "*/*" {
                MediaType::Bytes
            } else {
                media.clone()
            })
        };
        // A relation's own aggregate for any type comes before everything, and one of no relation gives way to none.
        let own = || {
            let any = self
                .handler(relation, "*/*")
                .filter(|handler| handler.relation.is_some());
            any.or_else(|| self.handler(relation, &media.name()))
        };
        let built_in = || match &media {
            MediaType::Json | MediaType::Any => Some(MediaType::Json),
            MediaType::ArrayStripped | MediaType::Object { .. } | MediaType::Csv | MediaType::GeoJson => {
                Some(media.clone())
            }
            MediaType::OpenApi
            | MediaType::Plan(_)
            | MediaType::Text
            | MediaType::Xml
            | MediaType::Bytes
            | MediaType::Form
            | MediaType::Other(_) => None,
        };
        // These two have parameters of their own and cannot be made otherwise.
        let is_fixed = matches!(media, MediaType::ArrayStripped | MediaType::Object { .. });
        let own = if is_fixed { None } else { own().map(by) };
        let mut shape = own.or_else(|| built_in().map(Shape::plain))?;
        shape.explain = explain;
        Some(shape)
    }
}

/// What is asked for, and whether only its plan.
fn asked(media: &MediaType, options: &Options) -> Option<(MediaType, Option<Box<PlanType>>)> {
    match media {
        MediaType::Plan(_) if !options.plans => None,
        MediaType::Plan(plan) => Some((plan.of.clone(), Some(plan.clone()))),
        MediaType::Json
        | MediaType::ArrayStripped
        | MediaType::Object { .. }
        | MediaType::Csv
        | MediaType::GeoJson
        | MediaType::OpenApi
        | MediaType::Text
        | MediaType::Xml
        | MediaType::Bytes
        | MediaType::Form
        | MediaType::Any
        | MediaType::Other(_) => Some((media.clone(), None)),
    }
}
