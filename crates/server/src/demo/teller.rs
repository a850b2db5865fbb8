//! Says what happened, what the ledger says of it, and how to see it.

use std::{io::Write, time::Instant};

use mint_core::money::{Amount, Decimals};

use crate::{
    db::{Actor, Db, sql},
    problem::AnyError,
};

/// Wide enough for a title and what happened, narrow enough for a terminal.
const WIDTH: usize = 110;

/// Tells a story step by step.
pub struct Teller {
    out: Box<dyn Write + Send>,
    db: Db,
    number: u32,
    began: Instant,
    title: &'static str,
    last_entry_id: i64,
}

impl Teller {
    /// Tells a story of this database.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, db: Db) -> Teller {
        Teller {
            out,
            db,
            number: 0,
            began: Instant::now(),
            title: "",
            last_entry_id: 0,
        }
    }

    /// A step begins.
    pub(super) fn begin(&mut self, title: &'static str) {
        self.number += 1;
        self.title = title;
        self.began = Instant::now();
    }

    /// The step is over: what happened, and requests that show it.
    pub(super) async fn end(&mut self, what: &str, see: &[&str]) -> Result<(), AnyError> {
        let took = self.began.elapsed().as_secs_f32();
        let effect = self.effect().await?;
        writeln!(self.out, "\n{:>2}  {}  ({took:.1} s)", self.number, self.title)?;
        self.paragraph("", what)?;
        self.paragraph("ledger  ", &effect)?;
        for request in see {
            writeln!(self.out, "    see     {request}")?;
        }
        self.out.flush()?;
        Ok(())
    }

    /// A text in lines of [`WIDTH`], below each other.
    fn paragraph(&mut self, label: &str, text: &str) -> Result<(), AnyError> {
        let mut line = format!("    {label}");
        let indent = line.len();
        for word in text.split_whitespace() {
            if line.len() + word.len() >= WIDTH {
                writeln!(self.out, "{}", line.trim_end())?;
                line = " ".repeat(indent);
            }
            line.push_str(word);
            line.push(' ');
        }
        writeln!(self.out, "{}", line.trim_end())?;
        Ok(())
    }

    /// What the entries since the last step did to the accounts, by purpose.
    async fn effect(&mut self) -> Result<String, AnyError> {
        let tx = self.db.as_service(Actor::Program("demo")).await?;
        let text = sql!("select count(*), coalesce(max(id), 0) from ledger.entries where id > $1");
        let row = tx.query_one(text, &[&self.last_entry_id]).await?;
        let (entries, last): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if entries == 0 {
            return Ok("no entry: nothing of value moved".to_owned());
        }
        let text = sql!(
            "select a.purpose, coalesce(t.symbol, s.code), s.decimals, sum(p.amount)::bigint
             from ledger.postings as p join ledger.accounts as a on a.id = p.account_id join ledger.assets as s on s.code = a.asset
             left join public.property_tokens as t on t.id = s.property_token_id
             where p.entry_id > $1 group by 1, 2, 3, s.kind having sum(p.amount) <> 0 order by s.kind, 2, sum(p.amount), 1"
        );
        let rows = tx.query(text, &[&self.last_entry_id]).await?;
        tx.commit().await?;
        self.last_entry_id = last;
        let mut moved = Vec::new();
        for row in rows {
            let (purpose, asset): (String, String) = (row.try_get(0)?, row.try_get(1)?);
            let (decimals, amount): (i16, i64) = (row.try_get(2)?, row.try_get(3)?);
            let decimals = Decimals::try_from(u8::try_from(decimals)?)?;
            let figure = Amount::try_from(amount.abs())?.to_decimal(decimals);
            let sign = if amount < 0 { '-' } else { '+' };
            moved.push(format!("{purpose} {sign}{figure} {asset}"));
        }
        let entries = match entries {
            1 => "1 entry".to_owned(),
            count => format!("{count} entries"),
        };
        Ok(if moved.is_empty() {
            format!("{entries}, and every account stands where it stood")
        } else {
            format!("{entries}: {}", moved.join(", "))
        })
    }
}
