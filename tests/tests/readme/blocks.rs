//! The commands in a document's shell blocks.

/// Every command of the blocks that begin with three backticks and `sh`, in order: lines that end with a backslash go on,
/// and comments are left out.
pub(crate) fn commands(document: &str) -> Vec<String> {
    let blocks = document.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let joined = blocks.flat_map(|block| {
        let block = block.replace("\\\n", "");
        block.lines().map(without_comment).collect::<Vec<_>>()
    });
    joined.filter(|line| !line.is_empty()).collect()
}

fn without_comment(line: &str) -> String {
    let code = line.split(" # ").next().unwrap_or_default();
    code.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn commands_are_found_in_order() {
    let text = "a\n```sh\none --flag   # said\ntwo \\\n  --more\n```\nb\n```json\n{}\n```\n```sh\nthree host#h-07\n```\n";
    assert_eq!(commands(text), ["one --flag", "two --more", "three host#h-07"]);
}
