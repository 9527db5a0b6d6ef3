//! The rules in force on their page, and what is left out.

use super::*;

#[tokio::test]
async fn the_page_tells_what_each_rule_is_for_and_where_it_comes_from() {
    let school = School::new();
    let viewer = school.visitor(Role::Viewer);
    let page = school.get("/rules", Some(&viewer)).await;
    assert_eq!(page.status, StatusCode::OK);
    for said in ["battery.replace_now", "REPLACEMENT", "Order a battery for this model", "laptops", "House"] {
        assert!(page.text.contains(said), "{said}: {}", page.text);
    }
    assert!(!page.text.contains("not understood and left out"), "nothing is broken");
}
