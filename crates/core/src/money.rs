//! Amounts: integers of the smallest unit of a currency or token, with checked arithmetic.
//!
//! An [`Amount`] is never negative and never above 2^53 - 1, so that it is exact as a JSON number and fits PostgreSQL's
//! `bigint` with room to spare. Products go through `i128`. Signed sums of a ledger's postings are not amounts and have
//! no place here.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The largest amount, in smallest units: 2^53 - 1, the last integer below which every one is exact as a JSON number.
pub const AMOUNT_MAX: i64 = 9_007_199_254_740_991;

/// Why an amount was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountRefused {
    /// Below zero or above [`AMOUNT_MAX`].
    #[error("an amount is 0 to {AMOUNT_MAX} smallest units")]
    OutOfRange,
    /// A text that is not a plain decimal number.
    #[error("an amount is written as digits with at most one point, such as 1059.50")]
    NotADecimal,
    /// More digits after the point than the asset has.
    #[error("the asset has {0} decimals, and the amount has more digits than that after the point")]
    TooFine(u8),
    /// An asset with more than six decimals.
    #[error("an asset has 0 to 6 decimals")]
    TooManyDecimals,
    /// Tokens times price is not a whole number of smallest units.
    #[error("that many tokens at that price are not a whole number of the currency's smallest units")]
    NotWhole,
}

/// Digits after the point of an asset's smallest unit: USD 2, KWD 3, JPY 0, USDC 6, a property token 0 unless configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Decimals(u8);

impl Decimals {
    /// More would not leave room for a supply in a `bigint`.
    pub const MAX: u8 = 6;
    /// An asset that is counted in whole units.
    pub const WHOLE: Decimals = Decimals(0);
    /// Cents.
    pub const CENTS: Decimals = Decimals(2);

    /// The number of digits.
    pub fn get(self) -> u8 {
        self.0
    }

    /// Smallest units in one unit: ten to the power of the digits.
    pub fn units_per_one(self) -> i64 {
        10_i64.pow(u32::from(self.0))
    }
}

impl TryFrom<u8> for Decimals {
    type Error = AmountRefused;
    fn try_from(digits: u8) -> Result<Self, AmountRefused> {
        if digits <= Self::MAX {
            Ok(Self(digits))
        } else {
            Err(AmountRefused::TooManyDecimals)
        }
    }
}

impl From<Decimals> for u8 {
    fn from(decimals: Decimals) -> u8 {
        decimals.0
    }
}

/// A currency: its code and how many decimals it has. One is never taken for another: USDC is not USD.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Currency {
    code: String,
    decimals: Decimals,
}

/// A code that names no currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a currency's code: three to five capital letters, such as USD or USDC")]
pub struct NotACurrency(String);

impl Currency {
    /// A currency with a code of three to five capital letters, as `currencies.code` has it.
    pub fn new(code: &str, decimals: Decimals) -> Result<Currency, NotACurrency> {
        if (3..=5).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Currency {
                code: code.to_owned(),
                decimals,
            })
        } else {
            Err(NotACurrency(code.to_owned()))
        }
    }

    /// Its ISO 4217 code, or the ticker of a stablecoin.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Digits of its smallest unit.
    pub fn decimals(&self) -> Decimals {
        self.decimals
    }

    /// An amount of it for people: `1059.50 USD`.
    pub fn show(&self, amount: Amount) -> String {
        format!("{} {}", amount.to_decimal(self.decimals), self.code)
    }
}

/// An amount of one asset in its smallest unit, 0 to [`AMOUNT_MAX`]. Which asset it is of stands beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Amount(i64);

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);
    /// The largest amount there is.
    pub const MAX: Amount = Amount(AMOUNT_MAX);

    /// Smallest units.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The sum, unless it is above [`AMOUNT_MAX`].
    pub fn plus(self, other: Amount) -> Result<Amount, AmountRefused> {
        self.0.checked_add(other.0).ok_or(AmountRefused::OutOfRange)?.try_into()
    }

    /// The difference, unless it is below zero.
    pub fn minus(self, other: Amount) -> Result<Amount, AmountRefused> {
        self.0.checked_sub(other.0).ok_or(AmountRefused::OutOfRange)?.try_into()
    }

    /// The sum of many, unless it is above [`AMOUNT_MAX`].
    pub fn sum(amounts: impl IntoIterator<Item = Amount>) -> Result<Amount, AmountRefused> {
        amounts.into_iter().try_fold(Amount::ZERO, Amount::plus)
    }

    /// What `self`, tokens of `token_decimals`, cost at `price` for one whole token. Exact, or refused: a sale never rounds.
    pub fn at_price(self, price: Amount, token_decimals: Decimals) -> Result<Amount, AmountRefused> {
        let product = i128::from(self.0) * i128::from(price.0);
        let per_one = i128::from(token_decimals.units_per_one());
        if product % per_one != 0 {
            return Err(AmountRefused::NotWhole);
        }
        from_wide(product / per_one)
    }

    /// A part of the amount in millionths, rounded half up to the smallest unit.
    pub fn part_half_up(self, parts_per_million: u32) -> Result<Amount, AmountRefused> {
        from_wide((i128::from(self.0) * i128::from(parts_per_million) + 500_000) / 1_000_000)
    }

    /// Reads a decimal figure such as `1059.50`, exactly: no sign, no exponent, no more digits than the asset has.
    pub fn parse(text: &str, decimals: Decimals) -> Result<Amount, AmountRefused> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || text.ends_with('.') {
            return Err(AmountRefused::NotADecimal);
        }
        let significant = fraction.trim_end_matches('0');
        if significant.len() > usize::from(decimals.get()) {
            return Err(AmountRefused::TooFine(decimals.get()));
        }
        let digits = format!("{whole}{significant:0<width$}", width = usize::from(decimals.get()));
        digits.parse::<i64>().map_err(|_| AmountRefused::OutOfRange)?.try_into()
    }

    /// The amount as a decimal figure with all the asset's digits: 105950 smallest units of USD are `1059.50`.
    pub fn to_decimal(self, decimals: Decimals) -> String {
        let width = usize::from(decimals.get());
        if width == 0 {
            return self.0.to_string();
        }
        let per_one = decimals.units_per_one();
        format!("{}.{:0width$}", self.0 / per_one, self.0 % per_one)
    }
}

fn from_wide(wide: i128) -> Result<Amount, AmountRefused> {
    i64::try_from(wide).map_err(|_| AmountRefused::OutOfRange)?.try_into()
}

impl TryFrom<i64> for Amount {
    type Error = AmountRefused;
    fn try_from(units: i64) -> Result<Self, AmountRefused> {
        if (0..=AMOUNT_MAX).contains(&units) {
            Ok(Self(units))
        } else {
            Err(AmountRefused::OutOfRange)
        }
    }
}

impl From<Amount> for i64 {
    fn from(amount: Amount) -> i64 {
        amount.0
    }
}

/// Smallest units, without a point: [`Amount::to_decimal`] is for people.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn amount(units: i64) -> Amount {
        Amount::try_from(units).unwrap()
    }

    #[test]
    fn reads_what_people_write_and_nothing_else() {
        let check = |text: &str, decimals: u8, expect: Result<i64, AmountRefused>| {
            let got = Amount::parse(text, Decimals::try_from(decimals).unwrap()).map(Amount::get);
            assert_eq!(got, expect, "{text} with {decimals} decimals");
        };
        check("1059.50", 2, Ok(105_950));
        check("1059.5", 2, Ok(105_950));
        check("1059.5000", 2, Ok(105_950));
        check("0", 0, Ok(0));
        check("0.000001", 6, Ok(1));
        check("1.234", 3, Ok(1_234));
        check("90071992547409.91", 2, Ok(AMOUNT_MAX));
        check("90071992547409.92", 2, Err(AmountRefused::OutOfRange));
        check("99999999999999999999", 0, Err(AmountRefused::OutOfRange));
        check("1.005", 2, Err(AmountRefused::TooFine(2)));
        check("1.1", 0, Err(AmountRefused::TooFine(0)));
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", "1 000", "NaN", "0x10", "١",
        ] {
            check(text, 2, Err(AmountRefused::NotADecimal));
        }
    }

    #[test]
    fn a_sale_is_exact_or_refused() {
        let tokens = amount(1_850);
        assert_eq!(
            tokens.at_price(amount(5_359), Decimals::WHOLE),
            Ok(amount(9_914_150)),
            "the golden vector's tokens"
        );
        let half_a_token = amount(5);
        let tenths = Decimals::try_from(1).unwrap();
        assert_eq!(
            half_a_token.at_price(amount(5_359), tenths),
            Err(AmountRefused::NotWhole)
        );
        assert_eq!(
            Amount::MAX.at_price(Amount::MAX, Decimals::WHOLE),
            Err(AmountRefused::OutOfRange)
        );
    }

    #[test]
    fn a_currency_shows_its_amounts() {
        let kwd = Currency::new("KWD", Decimals::try_from(3).unwrap()).unwrap();
        assert_eq!(kwd.show(amount(1_500)), "1.500 KWD");
        let jpy = Currency::new("JPY", Decimals::WHOLE).unwrap();
        assert_eq!(jpy.show(amount(1_500)), "1500 JPY");
        for code in ["usd", "US", "DOLLARS", "U$D", ""] {
            assert!(Currency::new(code, Decimals::CENTS).is_err(), "{code}");
        }
    }

    #[test]
    fn seven_decimals_are_refused() {
        assert_eq!(Decimals::try_from(7), Err(AmountRefused::TooManyDecimals));
    }

    proptest! {
        #[test]
        fn a_figure_reads_back(units in 0..=AMOUNT_MAX, decimals in 0..=Decimals::MAX) {
            let decimals = Decimals::try_from(decimals).unwrap();
            prop_assert_eq!(Amount::parse(&amount(units).to_decimal(decimals), decimals), Ok(amount(units)));
        }

        #[test]
        fn plus_and_minus_undo_each_other(a in 0..=AMOUNT_MAX, b in 0..=AMOUNT_MAX) {
            let (a, b) = (amount(a), amount(b));
            match a.plus(b) {
                Ok(sum) => prop_assert_eq!(sum.minus(b), Ok(a)),
                Err(refused) => {
                    prop_assert_eq!(refused, AmountRefused::OutOfRange);
                    prop_assert!(a.get() + b.get() > AMOUNT_MAX);
                }
            }
        }

        #[test]
        fn a_part_is_off_by_half_a_unit_at_most(units in 0..=AMOUNT_MAX, ppm in 0..=1_000_000_u32) {
            let part = i128::from(amount(units).part_half_up(ppm).unwrap().get());
            let exact_millionths = i128::from(units) * i128::from(ppm);
            let off = part * 1_000_000 - exact_millionths;
            prop_assert!(off <= 500_000 && off > -500_000, "half goes up: {off}");
        }
    }
}
