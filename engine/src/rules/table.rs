//! The table of rules, as people write it.
//!
//! Owns the reading of the TOML file and what it may say. The table that is built in, `programme.toml`, is the national programme's of 2021 and 2022, with its
//! sources; it documents the format.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use smallvec::SmallVec;
use thiserror::Error;
use toml::value::Datetime;

use crate::limits::RULE_NAME_BYTES_MAX;
use crate::names::fold_kana;
use crate::ticket::Date;

/// The rules by which shots get warnings.
#[derive(Clone, Debug)]
pub struct Rules {
    pub(super) begins: Date,
    /// A bit for each digit.
    pub(super) stub_kinds: u16,
    pub(super) same_scan_ms: u64,
    /// By name, as written and folded.
    products: HashMap<Box<str>, SmallVec<[(Period, Product); 1]>>,
    intervals: Vec<Interval>,
    same_product: Vec<SameProduct>,
}

/// A table that cannot be used. The text says what is wrong and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the table of rules: {0}")]
pub struct RulesError(String);

/// Days, the last one included.
#[derive(Clone, Copy, Debug)]
struct Period {
    from: u32,
    until: u32,
}

impl Period {
    fn holds(self, date: Date) -> bool {
        (self.from..=self.until).contains(&date.yyyymmdd())
    }
}

/// A product, by its place among those that the table names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Product(usize);

/// How long after the dose before a dose may be given.
#[derive(Clone, Debug)]
struct Interval {
    rule: Arc<str>,
    period: Period,
    /// `None`: whatever was given.
    product: Option<Product>,
    doses: Vec<u32>,
    least: Least,
}

#[derive(Clone, Copy, Debug)]
enum Least {
    Days(u32),
    Months(u32),
}

/// Doses that have to be of the product that the dose before was of.
#[derive(Clone, Debug)]
struct SameProduct {
    rule: Arc<str>,
    period: Period,
    doses: Vec<u32>,
}

impl Default for Rules {
    /// Those of the national programme of 2021 and 2022.
    fn default() -> Rules {
        static BUILT_IN: LazyLock<Rules> =
            LazyLock::new(|| Rules::from_toml(Rules::BUILT_IN).expect("the table that is built in is one"));
        BUILT_IN.clone()
    }
}

impl Rules {
    /// The table of the national programme of 2021 and 2022.
    pub const BUILT_IN: &str = include_str!("programme.toml");

    /// Reads a table.
    ///
    /// # Errors
    ///
    /// [`RulesError`] if it is no table of rules.
    pub fn from_toml(text: &str) -> Result<Rules, RulesError> {
        let file: File = toml::from_str(text).map_err(|error| RulesError(error.to_string().trim_end().to_owned()))?;
        file.rules().map_err(RulesError)
    }

    /// The least days and the rule that asks for them, of a dose that was given so on `date` where the dose before was given on `before`; `None` if no rule asks
    /// for any.
    pub(super) fn interval(&self, dose: u32, vaccine: &str, date: Date, before: Date) -> Option<(u32, &Arc<str>)> {
        let product = self.product(vaccine, date);
        let fits = |interval: &&Interval| {
            interval.doses.contains(&dose)
                && interval.period.holds(date)
                && interval.product.is_none_or(|asked| Some(asked) == product)
        };
        let interval = self.intervals.iter().rev().find(fits)?;
        let days = match interval.least {
            Least::Days(days) => days,
            Least::Months(months) => (after_months(before, months)? - before.days_since_epoch()).cast_unsigned(),
        };
        Some((days, &interval.rule))
    }

    /// The rule by which a dose that was given on `date` has to be of the product of the dose before, if it is of another.
    pub(super) fn mixes(
        &self,
        dose: u32,
        [vaccine, before]: [&str; 2],
        [date, date_before]: [Date; 2],
    ) -> Option<&Arc<str>> {
        let asked = self.same_product.iter().find(|same| same.doses.contains(&dose) && same.period.holds(date))?;
        let same = match [self.product(vaccine, date), self.product(before, date_before)] {
            [Some(one), Some(other)] => one == other,
            _ => vaccine == before || fold_kana(vaccine) == fold_kana(before),
        };
        (!same).then_some(&asked.rule)
    }

    /// The product that people call `vaccine` on that day; `None` if the table does not know it.
    fn product(&self, vaccine: &str, date: Date) -> Option<Product> {
        let named = self.products.get(vaccine).or_else(|| self.products.get(&*fold_kana(vaccine)))?;
        named.iter().find(|(period, _)| period.holds(date)).map(|&(_, product)| product)
    }
}

/// The day so many months later, in days since 1970; where the month has no such day, its last one.
fn after_months(date: Date, months: u32) -> Option<i32> {
    let day = date.yyyymmdd();
    let month = day / 10_000 * 12 + day / 100 % 100 - 1 + months;
    let first = month / 12 * 10_000 + (month % 12 + 1) * 100;
    let last = (first + 1..=first + day % 100).rev().find_map(|day| Date::from_yyyymmdd(day).ok())?;
    Some(last.days_since_epoch())
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    programme: ProgrammeTable,
    #[serde(default)]
    product: Vec<ProductTable>,
    #[serde(default)]
    interval: Vec<IntervalTable>,
    #[serde(default)]
    same_product: Vec<SameProductTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProgrammeTable {
    begins: Datetime,
    stub_kinds: Vec<u8>,
    same_scan_seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductTable {
    name: String,
    names: Vec<String>,
    from: Option<Datetime>,
    until: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntervalTable {
    rule: String,
    product: Option<String>,
    doses: Vec<u32>,
    days_min: Option<u32>,
    months_min: Option<u32>,
    from: Option<Datetime>,
    until: Option<Datetime>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SameProductTable {
    rule: String,
    doses: Vec<u32>,
    from: Option<Datetime>,
    until: Option<Datetime>,
}

impl File {
    fn rules(self) -> Result<Rules, String> {
        let mut stub_kinds = 0;
        for kind in self.programme.stub_kinds {
            if kind > 9 {
                return Err(format!("programme.stub_kinds: {kind} is no digit"));
            }
            stub_kinds |= 1 << kind;
        }
        let mut known: Vec<String> = Vec::new();
        let mut products: HashMap<Box<str>, SmallVec<[(Period, Product); 1]>> = HashMap::new();
        for table in self.product {
            let of = format!("product \"{}\"", table.name);
            let period = period(&of, table.from.as_ref(), table.until.as_ref())?;
            let place = known.iter().position(|name| *name == table.name).unwrap_or_else(|| {
                known.push(table.name);
                known.len() - 1
            });
            for name in table.names {
                // A name whose folding is itself is there once.
                let folded = Some(fold_kana(&name)).filter(|folded| **folded != *name);
                for name in folded.into_iter().map(Into::into).chain([name.into_boxed_str()]) {
                    products.entry(name).or_default().push((period, Product(place)));
                }
            }
        }
        let intervals = self.interval.into_iter().map(|table| {
            let of = format!("interval \"{}\"", table.rule);
            let product = table.product.map(|name| {
                let place = known.iter().position(|known| *known == name);
                place.map(Product).ok_or_else(|| format!("{of}: there is no product \"{name}\""))
            });
            let least = match (table.days_min, table.months_min) {
                (Some(days @ ..=3_660), None) => Least::Days(days),
                (None, Some(months @ ..=120)) => Least::Months(months),
                (Some(_), None) | (None, Some(_)) => return Err(format!("{of}: more than ten years")),
                _ => return Err(format!("{of}: either days_min or months_min")),
            };
            let period = period(&of, table.from.as_ref(), table.until.as_ref())?;
            let rule = rule_name(&of, table.rule)?;
            Ok(Interval { rule, period, product: product.transpose()?, doses: table.doses, least })
        });
        let intervals = intervals.collect::<Result<_, _>>()?;
        let same_product = self.same_product.into_iter().map(|table| {
            let of = format!("same_product \"{}\"", table.rule);
            let period = period(&of, table.from.as_ref(), table.until.as_ref())?;
            Ok(SameProduct { rule: rule_name(&of, table.rule)?, period, doses: table.doses })
        });
        Ok(Rules {
            begins: date("programme.begins", &self.programme.begins)?,
            stub_kinds,
            same_scan_ms: u64::from(self.programme.same_scan_seconds) * 1000,
            products,
            intervals,
            same_product: same_product.collect::<Result<_, String>>()?,
        })
    }
}

fn rule_name(of: &str, name: String) -> Result<Arc<str>, String> {
    let fits = (1..=RULE_NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
    if !fits {
        return Err(format!("{of}: a rule's name is 1 to {RULE_NAME_BYTES_MAX} characters of ASCII without spaces"));
    }
    Ok(name.into())
}

fn period(of: &str, from: Option<&Datetime>, until: Option<&Datetime>) -> Result<Period, String> {
    let day = |at: Option<&Datetime>, otherwise| at.map_or(Ok(otherwise), |at| date(of, at).map(Date::yyyymmdd));
    let period = Period { from: day(from, 0)?, until: day(until, u32::MAX)? };
    if period.from > period.until {
        return Err(format!("{of}: from is after until"));
    }
    Ok(period)
}

fn date(of: &str, at: &Datetime) -> Result<Date, String> {
    let not_a_day = || format!("{of}: {at} is no day, such as 2021-02-17");
    let Datetime { date: Some(day), time: None, offset: None } = at else { return Err(not_a_day()) };
    let yyyymmdd = u32::from(day.year) * 10_000 + u32::from(day.month) * 100 + u32::from(day.day);
    Date::from_yyyymmdd(yyyymmdd).map_err(|_| not_a_day())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(yyyymmdd: u32) -> Date {
        Date::from_yyyymmdd(yyyymmdd).unwrap()
    }

    #[test]
    fn the_table_that_is_built_in_knows_what_people_write() {
        let rules = Rules::default();
        let is = |name, date, product: &str| {
            let same = rules.product(name, day(date)) == rules.product(product, day(date));
            assert!(same && rules.product(name, day(date)).is_some(), "{name} on {date} is {product}");
        };
        is("ファイザー", 20_210_412, "Pfizer");
        is("ﾌｧｲｻﾞｰ", 20_210_412, "コミナティ");
        is("武田", 20_210_801, "モデルナ");
        is("武田", 20_220_801, "ノババックス");
        assert!(rules.product("生理食塩水", day(20_210_412)).is_none());
    }

    #[test]
    fn the_last_interval_that_fits_counts() {
        let rules = Rules::default();
        let least = |dose, vaccine, date, before| {
            rules.interval(dose, vaccine, day(date), day(before)).map(|(days, rule)| (days, &**rule))
        };
        assert_eq!(least(1, "ファイザー", 20_210_412, 20_210_412), None);
        assert_eq!(least(2, "ファイザー", 20_210_503, 20_210_412), Some((19, "pfizer-2")));
        assert_eq!(least(2, "武田", 20_210_703, 20_210_612), Some((26, "moderna-2")));
        assert_eq!(least(2, "生理食塩水", 20_210_703, 20_210_612), None);
        // From the last day of August to the last of February.
        assert_eq!(least(3, "ファイザー", 20_220_301, 20_210_831), Some((181, "booster-6-months")));
        assert_eq!(least(3, "ファイザー", 20_220_524, 20_211_224), Some((182, "booster-6-months")));
        assert_eq!(least(3, "ファイザー", 20_220_525, 20_211_225), Some((151, "booster-5-months")));
        assert_eq!(least(4, "モデルナ", 20_221_021, 20_220_721), Some((92, "booster-3-months")));
        assert_eq!(least(4, "ノババックス", 20_221_021, 20_220_721), Some((184, "novavax-6-months")));
    }

    #[test]
    fn a_table_that_cannot_be_used_says_why() {
        let says = |text: &str, expected: &str| {
            let error = Rules::from_toml(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        };
        let programme = "[programme]\nbegins = 2021-02-17\nstub_kinds = [2]\nsame_scan_seconds = 0\n";
        assert!(Rules::from_toml(programme).is_ok());
        says("", "missing field `programme`");
        says(&programme.replace("02-17", "02-30"), "begins");
        says(
            &programme.replace("2021-02-17", "2021-02-17T09:00:00"),
            "programme.begins: 2021-02-17T09:00:00 is no day",
        );
        says(&programme.replace("[2]", "[12]"), "12 is no digit");
        says(&programme.replace("begins", "starts"), "unknown field `starts`");
        let with = |more: &str| format!("{programme}{more}");
        says(&with("[[interval]]\nrule = \"a\"\ndoses = [2]\n"), "interval \"a\": either days_min or months_min");
        says(&with("[[interval]]\nrule = \"a\"\ndoses = [2]\ndays_min = 9999\n"), "more than ten years");
        says(&with("[[interval]]\nrule = \"a b\"\ndoses = [2]\ndays_min = 9\n"), "a rule's name is 1 to 24 characters");
        says(&with("[[interval]]\nrule = \"a\"\ndoses = [2]\ndays_min = 9\nproduct = \"x\"\n"), "no product \"x\"");
        says(
            &with("[[same_product]]\nrule = \"a\"\ndoses = [2]\nfrom = 2022-01-01\nuntil = 2021-01-01\n"),
            "same_product \"a\": from is after until",
        );
    }
}
