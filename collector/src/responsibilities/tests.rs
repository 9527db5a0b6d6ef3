use super::*;
use bellwether_logic::device::Class;
use bellwether_logic::responsibilities::{Cell, PartyKind, Row, TEAM};
use bellwether_logic::time::Timestamp;

const DISTRICT: &str = r#"
coordinator = "pat"
lead = "Sam's team"

[[person]]
login = "pat"
name = "Pat Moore"

[[person]]
login = "kim"

[[person]]
login = "joe"
lane = "champion"

[[person]]
login = "ana"
lane = "ed_tech"

[[team]]
name = "Sam's team"
members = ["kim", "pat"]

[[vendor]]
name = "Copier Co"
email = "service@copier.example"
phone = "555-0100"
contract_ends = "2027-06-30"
covers = "leased copiers, parts and labor"
time = "8h school"

[[owner]]
buildings = ["Lincoln"]
who = "kim"

[[owner]]
classes = ["printer"]
who = "Copier Co"
then = ["kim"]

[[owner]]
classes = ["printer"]
categories = ["printer-supply"]
buildings = ["Oak"]
who = "joe"
"#;

fn parse(text: &str) -> Result<Responsibilities, ConfigError> {
    Form::parse(Path::new(FILE), text, &TimeZone::UTC)
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn a_district_is_read_and_comes_back_from_its_record() {
    let matrix = parse(DISTRICT).unwrap();
    assert!(matrix.is_sound());
    let vendor = matrix.party("Copier Co").unwrap();
    assert_eq!(
        (vendor.kind, vendor.phone.as_str(), vendor.time.to_string().as_str()),
        (PartyKind::Vendor, "555-0100", "8h school")
    );
    let ends = jiff::Timestamp::from_millisecond(vendor.contract_ends.unwrap().0).unwrap();
    assert_eq!(ends.to_string(), "2027-07-01T00:00:00Z");
    assert_eq!(matrix_of(&record_of(&matrix)).as_ref(), Some(&matrix));
    let now = Timestamp(0);
    assert_eq!(matrix.owner_key(now, "Oak", Some(Class::Printer), "printer-supply"), "joe");
    let owner = matrix.owner(now, Cell { site: "Lincoln", class: Some(Class::Server), category: "storage" });
    assert_eq!(owner.via, "everything at Lincoln (line 32 of responsibilities.toml)");
    assert_eq!((owner.next.as_str(), owner.lead.as_str()), ("pat", "Sam's team"));
}

#[test]
fn without_a_file_everything_is_the_teams_and_says_that_it_is_assumed() {
    let folder = tempfile::tempdir().unwrap();
    let matrix = load(folder.path(), &TimeZone::UTC).unwrap();
    assert!(matrix.assumed);
    assert_eq!(matrix_of(&record_of(&matrix)), Some(Responsibilities::default()));
    assert_eq!(matrix.owner_key(Timestamp(0), "Oak", None, "poe"), TEAM);
}

#[test]
fn what_is_wrong_is_said_with_file_line_and_what_was_expected() {
    let named = "[[person]]\nlogin = \"kim\"\n[[person]]\nlogin = \"ana\"\nlane = \"ed_tech\"\n[[person]]\nlogin = \"joe\"\nlane = \"champion\"\n";
    for (text, line, says) in [
        ("[[owner]]\nwho = \"kmi\"\n", 10, "nobody here is called `kmi`: expected a person's login"),
        ("[[owner]]\nwho = \"ana\"\n", 10, "`ana` is of the lane `ed_tech` and is never handed work by a machine"),
        ("[[owner]]\nwho = \"kim\"\nthen = [\"ana\"]\n", 11, "`ana` is of the lane `ed_tech`"),
        ("[[owner]]\nwho = \"joe\"\n", 10, "`joe` is a champion, who has only what is said in so many words"),
        ("[[owner]]\nclasses = [\"pritner\"]\nwho = \"kim\"\n", 10, "unknown variant `pritner`, expected one of"),
        ("[[owner]]\nbuilding = \"Oak\"\nwho = \"kim\"\n", 10, "unknown field `building`, expected one of `buildings`"),
        ("[[person]]\nlogin = \"KIM\"\n", 10, "`KIM` is the name of line 2 already"),
        ("[[team]]\nname = \"T\"\nmembers = [\"ana\"]\n", 11, "`ana` is no member for this"),
        ("[[owner]]\nwho = \"kim\"\n[[owner]]\nwho = \"IT\"\n", 11, "line 9 speaks of some of the same (everything)"),
        ("[[vendor]]\nname = \"V\"\ncontract_ends = \"June\"\n", 11, "contract_ends"),
    ] {
        let error = refused(&format!("{named}{text}"));
        assert!(error.starts_with(&format!("{FILE}, line {line}: ")), "{error}");
        assert!(error.contains(says), "{error}");
    }
    let error = refused("coordinator = \"ana\"\n[[person]]\nlogin = \"ana\"\nlane = \"ed_tech\"\n");
    assert!(error.contains("line 1") && error.contains("`ed_tech`"), "{error}");
}

#[test]
fn the_grid_has_only_what_is_there_and_marks_what_nobody_has() {
    let matrix = parse(DISTRICT).unwrap();
    let rules = crate::rules::load(Path::new("none")).unwrap().rules;
    let places = [("Lincoln", Class::Switch), ("Oak", Class::Printer), ("Oak", Class::Switch)];
    let places = places.map(|(site, class)| (site.to_owned(), class)).into();
    let grid = Grid::new(&matrix, &places, &rules, Timestamp(0));
    assert!(grid.cells.iter().all(|cell| cell.class != Class::Laptop));
    let unowned: Vec<_> = grid.unowned().map(|cell| (cell.site.as_str(), cell.class)).collect();
    assert!(!unowned.is_empty() && unowned.iter().all(|cell| *cell == ("Oak", Class::Switch)), "{unowned:?}");
    assert!(grid.unknown.is_empty(), "{:?}", grid.unknown);
    let typo = Responsibilities {
        rows: vec![Row { buildings: vec!["Lincon".into()], who: TEAM.into(), line: 3, ..Row::default() }],
        ..Responsibilities::default()
    };
    let grid = Grid::new(&typo, &places, &rules, Timestamp(0));
    assert_eq!(grid.unknown, ["line 3: no device stands in a building `Lincon`"]);
}
