use super::*;

const NOW: Timestamp = Timestamp(1_788_177_600_000);

fn row(buildings: &[&str], classes: &[Class], categories: &[&str], who: &str, then: &[&str]) -> Row {
    let own = |list: &[&str]| list.iter().map(|word| (*word).to_string()).collect::<Vec<_>>();
    Row {
        buildings: own(buildings),
        classes: classes.to_vec(),
        categories: own(categories),
        who: who.into(),
        then: own(then),
        line: 0,
    }
}

fn district(rows: Vec<Row>) -> Responsibilities {
    let person = |key: &str, lane| Party { lane, ..Party::new(key, PartyKind::Person) };
    let matrix = Responsibilities {
        assumed: false,
        source: "responsibilities.toml".into(),
        parties: alloc::vec![
            person("kim", Lane::Repair),
            person("lee", Lane::Repair),
            person("pat", Lane::Repair),
            person("ana", Lane::EdTech),
            person("joe", Lane::Champion),
            Party::new("Networks", PartyKind::Team),
            Party { contract_ends: Some(NOW + Duration::from_secs(1)), ..Party::new("Copier Co", PartyKind::Vendor) },
        ],
        rows,
        coordinator: "pat".into(),
        lead: "pat".into(),
    };
    assert!(matrix.is_sound());
    matrix
}

fn key(matrix: &Responsibilities, site: &str, class: Class, category: &str) -> String {
    matrix.owner_key(NOW, site, Some(class), category)
}

#[test]
fn the_most_specific_row_counts_and_what_goes_before_where() {
    let matrix = district(alloc::vec![
        row(&["Lincoln"], &[], &[], "kim", &[]),
        row(&[], &[Class::Printer], &[], "Copier Co", &[]),
        row(&["Lincoln"], &[Class::Printer], &["printer"], "lee", &[]),
        row(&[], &[], &["reachability"], "Networks", &[]),
    ]);
    assert_eq!(key(&matrix, "Lincoln", Class::Server, "storage"), "kim");
    assert_eq!(key(&matrix, "Lincoln", Class::Printer, "printer-supply"), "Copier Co");
    assert_eq!(key(&matrix, "Lincoln", Class::Printer, "printer"), "lee");
    assert_eq!(key(&matrix, "Oak", Class::Printer, "printer"), "Copier Co");
    assert_eq!(key(&matrix, "Lincoln", Class::Printer, "reachability"), "Networks");
    assert_eq!(key(&matrix, "Oak", Class::Server, "storage"), "pat");
}

#[test]
fn a_cell_without_a_row_is_the_coordinators_and_shown_as_unowned() {
    let matrix = district(alloc::vec![row(&["Lincoln"], &[], &[], "kim", &["lee"])]);
    let cell = |site| Cell { site, class: Some(Class::Switch), category: "poe" };
    let unowned = matrix.owner(NOW, cell("Oak"));
    assert_eq!((unowned.key.as_str(), unowned.named, unowned.via.as_str()), ("pat", false, "nobody is named for this"));
    assert_eq!(unowned.next, "");
    let owned = matrix.owner(NOW, cell("Lincoln"));
    assert_eq!((owned.key.as_str(), owned.next.as_str(), owned.named), ("kim", "lee", true));
    assert_eq!(owned.via, "everything at Lincoln");
}

#[test]
fn nobody_who_helps_teachers_is_handed_work_by_a_machine() {
    // A file that names them is refused; this is for one that got here all the same.
    let mut matrix = district(alloc::vec![row(&[], &[], &[], "ana", &["kim"])]);
    let owner = matrix.owner(NOW, Cell { site: "Oak", class: Some(Class::Laptop), category: "battery" });
    assert_eq!((owner.key.as_str(), owner.next.as_str()), ("kim", "pat"));
    assert_eq!(owner.via, "everything; ana is there for teaching");
    matrix.rows[0].then.clear();
    matrix.coordinator = "ana".into();
    assert_eq!(key(&matrix, "Oak", Class::Laptop, "battery"), TEAM);
}

#[test]
fn a_champion_has_only_what_a_row_says_in_so_many_words() {
    let all = district(alloc::vec![row(&["Oak"], &[Class::Printer], &[], "joe", &["lee"])]);
    assert_eq!(key(&all, "Oak", Class::Printer, "printer"), "lee");
    let jams = district(alloc::vec![row(&["Oak"], &[Class::Printer], &["printer"], "joe", &["lee"])]);
    assert_eq!(key(&jams, "Oak", Class::Printer, "printer"), "joe");
}

#[test]
fn a_vendor_has_nothing_once_the_contract_is_over() {
    let matrix = district(alloc::vec![row(&[], &[Class::Printer], &[], "Copier Co", &["lee"])]);
    let cell = Cell { site: "Oak", class: Some(Class::Printer), category: "printer" };
    assert_eq!(matrix.owner(NOW, cell).kind, PartyKind::Vendor);
    let later = matrix.owner(NOW + Duration::from_secs(1), cell);
    assert_eq!((later.key.as_str(), later.via.as_str()), ("lee", "printer; Copier Co has no contract now"));
    assert_eq!(matrix.vendor(cell).map(|vendor| vendor.key.as_str()), Some("Copier Co"));
}

#[test]
fn a_ticket_of_no_one_class_has_the_row_of_its_building() {
    let matrix =
        district(alloc::vec![row(&["Oak"], &[Class::Desktop], &[], "lee", &[]), row(&["Oak"], &[], &[], "kim", &[]),]);
    assert_eq!(matrix.owner_key(NOW, "Oak", None, "reachability"), "kim");
}

#[test]
fn two_rows_contradict_each_other_only_where_neither_is_more_specific() {
    let printers = row(&[], &[Class::Printer, Class::Ups], &[], "kim", &[]);
    assert!(printers.contradicts(&row(&[], &[Class::Printer], &[], "lee", &[])));
    assert!(!printers.contradicts(&row(&[], &[Class::Switch], &[], "lee", &[])));
    assert!(!printers.contradicts(&row(&["Oak"], &[Class::Printer], &[], "lee", &[])));
    assert!(!printers.contradicts(&row(&["Oak"], &[], &[], "lee", &[])));
    assert!(row(&[], &[], &[], "kim", &[]).contradicts(&row(&[], &[], &[], "lee", &[])));
}

#[test]
fn before_anybody_has_written_one_the_team_has_everything() {
    let assumed = Responsibilities::default();
    assert!(assumed.is_sound());
    let owner = assumed.owner(NOW, Cell { site: "Oak", class: None, category: "poe" });
    assert_eq!((owner.key.as_str(), owner.via.as_str()), (TEAM, "nobody has written who looks after what"));
    assert_eq!(owner.next, "");
}

#[test]
fn a_matrix_comes_back_as_it_was_written() {
    let matrix = district(alloc::vec![row(&["Oak"], &[Class::AccessPoint], &["poe"], "kim", &["lee"])]);
    let text = serde_json::to_string(&matrix).unwrap();
    assert_eq!(serde_json::from_str::<Responsibilities>(&text).unwrap(), matrix);
    assert_eq!(matrix.rows[0].words(), "poe of access point at Oak");
}
