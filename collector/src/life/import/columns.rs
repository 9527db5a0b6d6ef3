//! Columns by the names that schools give them, and what a cell may say.

use bellwether_logic::calendar::Date;

use super::{FUND_MAX, Facts, PLANNED_YEARS_MAX, PRICE_MAX_CENTS, YEARS, civil};

/// Columns that have a fact, for people.
pub const EXPECTED: &str =
    "purchase date, price, fund, warranty end, planned life, updates end, repaired by vendor, E-rate";

/// What a column says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    DeviceId,
    AssetTag,
    Serial,
    Vendor,
    Model,
    Purchased,
    Price,
    Fund,
    Warranty,
    PlannedYears,
    UpdatesEnd,
    VendorRepairs,
    Erate,
}

/// Letters and digits of the names that are understood, as exports of common inventories write them.
const NAMES: &[(Column, &[&str])] = &[
    (Column::DeviceId, &["deviceid", "bellwetherid"]),
    (
        Column::AssetTag,
        &[
            "assettag",
            "asset",
            "assetid",
            "assetnumber",
            "tag",
            "name",
            "devicename",
            "propertynumber",
            "annotatedassetid",
        ],
    ),
    (Column::Serial, &["serial", "serialnumber", "serialno", "servicetag", "sn"]),
    (Column::Vendor, &["vendor", "manufacturer", "make", "maker", "brand"]),
    (Column::Model, &["model", "modelname", "modelnumber"]),
    (
        Column::Purchased,
        &[
            "purchasedate",
            "purchased",
            "datepurchased",
            "dateofpurchase",
            "bought",
            "boughton",
            "acquired",
            "acquisitiondate",
        ],
    ),
    (
        Column::Price,
        &[
            "price",
            "cost",
            "purchaseprice",
            "purchasecost",
            "unitcost",
            "unitprice",
            "replacementprice",
            "replacementcost",
        ],
    ),
    (Column::Fund, &["fund", "funding", "fundingsource", "fundsource", "budget", "budgetcode", "account"]),
    (
        Column::Warranty,
        &[
            "warranty",
            "warrantyend",
            "warrantyends",
            "warrantyuntil",
            "warrantyexpires",
            "warrantyexpiration",
            "warrantyexpirationdate",
            "warrantyexpirydate",
            "warrantyenddate",
            "endofwarranty",
        ],
    ),
    (
        Column::PlannedYears,
        &[
            "plannedlife",
            "plannedlifeyears",
            "plannedyears",
            "lifeyears",
            "life",
            "lifespan",
            "usefullife",
            "usefullifeyears",
        ],
    ),
    (
        Column::UpdatesEnd,
        &[
            "updatesend",
            "updatesuntil",
            "endofupdates",
            "aue",
            "auedate",
            "autoupdateexpiration",
            "autoupdateuntil",
            "autoupdatethrough",
            "autoupdateexpirationdate",
            "endofsupport",
            "supportend",
            "eol",
            "eoldate",
        ],
    ),
    (
        Column::VendorRepairs,
        &["repairbyvendor", "repairedbyvendor", "vendorrepair", "vendorrepairs", "servicecontract", "leased"],
    ),
    (Column::Erate, &["erate", "erateeligible", "eratefunded"]),
];

/// Parts of names of columns that speak of people, wherever they stand in the name.
const PEOPLE: &[&str] = &[
    "user",
    "assigned",
    "student",
    "pupil",
    "owner",
    "teacher",
    "mail",
    "employee",
    "person",
    "staff",
    "borrower",
    "custodian",
    "checkedout",
    "checkout",
    "firstname",
    "lastname",
    "fullname",
    "parent",
    "guardian",
    "grade",
    "homeroom",
    "login",
    "phone",
    "contact",
    "birth",
    "responsible",
];

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

/// Whether a column that is not understood speaks of people.
pub(super) fn is_about_people(name: &str) -> bool {
    let name = plain(name);
    PEOPLE.iter().any(|part| name.contains(part))
}

impl Column {
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = plain(name);
        NAMES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(column, _)| *column)
    }

    pub(super) const fn keys() -> &'static str {
        "device id, asset tag, serial number, model"
    }

    pub(super) const fn is_key(self) -> bool {
        matches!(self, Self::DeviceId | Self::AssetTag | Self::Serial | Self::Model)
    }

    pub(super) const fn is_fact(self) -> bool {
        !self.is_key() && !matches!(self, Self::Vendor)
    }

    /// Puts what a cell says among the facts; `none` takes the fact away.
    pub(super) fn put(self, facts: &mut Facts, text: &str) -> Result<(), String> {
        let is_none = text.eq_ignore_ascii_case("none");
        let date = || if is_none { Ok(None) } else { date(text).map(Some) };
        let flag = || if is_none { Ok(None) } else { flag(text).map(Some) };
        match self {
            Self::DeviceId | Self::AssetTag | Self::Serial | Self::Vendor | Self::Model => {}
            Self::Purchased => facts.purchased = date()?,
            Self::Warranty => facts.warranty_ends = date()?,
            Self::UpdatesEnd => facts.updates_end = date()?,
            Self::VendorRepairs => facts.vendor_repairs = flag()?,
            Self::Erate => facts.erate = flag()?,
            Self::Price => facts.price_cents = if is_none { None } else { Some(price(text)?) },
            Self::PlannedYears => facts.planned_years = if is_none { None } else { Some(years(text)?) },
            Self::Fund => facts.fund = if is_none { String::new() } else { fund(text)? },
        }
        Ok(())
    }
}

/// Dates as ISO and as people in the US write them; a time behind it is left out.
fn date(text: &str) -> Result<Date, String> {
    let day = text.split([' ', 'T']).next().unwrap_or_default();
    let american = || {
        let mut parts = day.split('/').map(str::parse::<i32>);
        let (Some(Ok(month)), Some(Ok(day)), Some(Ok(year)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        civil::date(year, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    };
    let found = civil::read(day).or_else(american).filter(|date| YEARS.contains(&civil::civil(*date).0));
    found.ok_or_else(|| format!("a date from {} to {}, such as 2026-06-30 or 6/30/2026", YEARS.start(), YEARS.end()))
}

fn flag(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "x" => Ok(true),
        "no" | "n" | "false" | "0" => Ok(false),
        _ => Err("yes or no".into()),
    }
}

fn price(text: &str) -> Result<u32, String> {
    let expected = || format!("dollars from 0 to {}, such as 350 or $1,249.99", PRICE_MAX_CENTS / 100);
    cents(text).ok_or_else(expected)
}

/// Dollars as cents: `350`, `$1,249.99`; none if it is no such sum.
#[must_use]
pub fn cents(text: &str) -> Option<u32> {
    let text = text.trim().trim_start_matches('$').trim_start();
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let rest = match rest.len() {
        0 => 0,
        1 => rest.parse::<u32>().ok()?.checked_mul(10)?,
        2 => rest.parse().ok()?,
        _ => return None,
    };
    let grouped = whole.split(',').skip(1).all(|group| group.len() == 3);
    let digits = whole.replace(',', "");
    let is_plain = grouped && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let sum = digits.parse::<u32>().ok().filter(|_| is_plain)?.checked_mul(100)?.checked_add(rest)?;
    (sum <= PRICE_MAX_CENTS).then_some(sum)
}

fn years(text: &str) -> Result<u8, String> {
    let number = text.split(' ').next().unwrap_or_default();
    let years = number.parse().ok().filter(|years| (1..=PLANNED_YEARS_MAX).contains(years));
    years.ok_or_else(|| format!("whole years from 1 to {PLANNED_YEARS_MAX}"))
}

fn fund(text: &str) -> Result<String, String> {
    let fits = text.chars().count() <= FUND_MAX && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(format!("one line of at most {FUND_MAX} letters")) }
}
