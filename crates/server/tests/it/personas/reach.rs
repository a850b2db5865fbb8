//! Which rows something reaches, and what to call them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Rows, with the fewest names of classes that say exactly which they are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Reach {
    pub(super) rows: BTreeSet<usize>,
    names: Vec<String>,
    /// How many more are reached by a statement that looks at no row, for which no policy for reading is asked.
    blind: usize,
}

impl Reach {
    /// Names `rows` among `all`. What a visitor reads is `public`.
    pub(super) fn of(
        rows: BTreeSet<usize>,
        all: &BTreeSet<usize>,
        public: &BTreeSet<usize>,
        classes_of: impl Fn(usize) -> Vec<&'static str>,
    ) -> Reach {
        let names = if rows.is_empty() {
            Vec::new()
        } else if rows == *all {
            vec!["all".to_owned()]
        } else {
            names(&rows, all, public, classes_of)
        };
        Reach { rows, names, blind: 0 }
    }

    pub(super) fn and_blind(mut self, more: usize) -> Reach {
        self.blind += more;
        self
    }

    pub(super) fn is_none(&self) -> bool {
        self.rows.is_empty() && self.blind == 0
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = self.names.clone();
        if self.blind > 0 {
            names.push(format!("{} blindly", self.blind));
        }
        out.write_str(&names.join(" + "))
    }
}

/// Whole classes first, then what two classes have in common, each only where it adds rows; what remains is counted.
fn names(
    rows: &BTreeSet<usize>,
    all: &BTreeSet<usize>,
    public: &BTreeSet<usize>,
    classes_of: impl Fn(usize) -> Vec<&'static str>,
) -> Vec<String> {
    let mut order: Vec<&'static str> = Vec::new();
    let mut classes: BTreeMap<&'static str, BTreeSet<usize>> = BTreeMap::new();
    for row in all {
        let public = public.contains(row).then_some("public");
        for class in classes_of(*row).into_iter().chain(public) {
            if !order.contains(&class) {
                order.push(class);
            }
            classes.entry(class).or_default().insert(*row);
        }
    }
    // The order of names must not hang on which row came first.
    order.sort_by_key(|class| {
        let place = ORDER.iter().position(|known| known == class);
        (*class == "another's", place.unwrap_or(ORDER.len()), *class)
    });
    let singles = order.iter().map(|class| ((*class).to_owned(), classes[class].clone()));
    let pairs = order.iter().enumerate().flat_map(|(at, a)| {
        let classes = &classes;
        order[at + 1..].iter().map(move |b| {
            let common = classes[a].intersection(&classes[b]).copied().collect();
            (format!("{a} and {b}"), common)
        })
    });
    let mut names = Vec::new();
    let mut named = BTreeSet::new();
    for (name, class) in singles.chain(pairs) {
        if class.is_subset(rows) && !class.is_subset(&named) {
            named.extend(class);
            names.push(name);
        }
    }
    let unnamed = rows.difference(&named).count();
    if unnamed > 0 {
        names.push(format!("{unnamed} of no class"));
    }
    names
}

const ORDER: &[&str] = &["public", "own", "joined", "made", "assigned", "invested"];

#[test]
fn rows_are_called_by_the_fewest_names_that_are_exact() {
    let all: BTreeSet<usize> = (0..6).collect();
    let classes = |row: usize| match row {
        0 => vec!["own"],
        1 => vec!["own", "joined"],
        2 => vec!["joined"],
        3 => vec!["assigned"],
        _ => vec![],
    };
    let check = |rows: &[usize], expected: &str| {
        let reach = Reach::of(rows.iter().copied().collect(), &all, &BTreeSet::from([4]), classes);
        assert_eq!(reach.to_string(), expected, "{rows:?}");
    };
    check(&[], "");
    check(&[0, 1, 2, 3, 4, 5], "all");
    check(&[0, 1], "own");
    check(&[0, 1, 4], "public + own");
    check(&[1], "own and joined");
    check(&[3, 5], "assigned + 1 of no class");
    assert_eq!(Reach::default().and_blind(2).to_string(), "2 blindly");
}
