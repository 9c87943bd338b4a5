use super::*;

#[test]
fn an_edit_without_anything_to_change_is_a_mistake() {
    let args = ItemEditArgs {
        ids: vec![ItemId::new(1)],
        title: None,
        description: None,
        priority: None,
        run: None,
        needs: vec![],
        no_needs: false,
        label: vec![],
        accept: vec![],
        require: vec![],
        no_require: false,
    };
    assert_eq!(args.request().unwrap_err().exit_code(), 2);
}
