//! A block is appended to one that ends with a branch.

use emu_ir::text::{Names, parse, print};
use emu_ir::verify::verify;
use emu_ir::{Block, opt};

const FIRST: &str = "\
block 0x10 mode 0x1
insn 0x10 len 4
  v0 = get.i64 slot5
  v1 = const.i64 7
  v2 = add.i64 v0, v1
  set slot5, v2
insn 0x14 len 2
  v4 = get.i64 slot6
  v5 = icmp.eq.i64 v2, v4
  branch v5, 0x40, 0x16
";

const SECOND: &str = "\
block 0x16 mode 0x1
insn 0x16 len 2
  v0 = get.i64 slot5
  v1 = load.i64.u8 v0+8
  set slot7, v1
insn 0x18 len 4
  v3 = get.i64 slot7
  jump v3
";

fn block(text: &str) -> Block {
    parse(text, Names::default()).expect("a block")
}

#[test]
fn the_branch_becomes_a_side_exit() {
    let mut run = block(FIRST);
    assert!(run.append(&block(SECOND)));
    verify(&run).expect("valid");
    let joints: Vec<bool> = (0..4).map(|mark| run.is_joint(mark)).collect();
    assert_eq!((joints, run.end()), (vec![false, false, true, false], 0x1c));
    opt::optimize(&mut run);
    verify(&run).expect("valid");
    let expected = "\
block 0x10 mode 0x1
insn 0x10 len 4
  v0 = get.i64 slot5
  v1 = const.i64 7
  v2 = add.i64 v0, v1
  set slot5, v2
insn 0x14 len 2
  v4 = get.i64 slot6
  v5 = icmp.eq.i64 v2, v4
insn 0x16 len 2
  leave_if v5, 0x40
  v7 = load.i64.u8 v2+8
  set slot7, v7
insn 0x18 len 4
  jump v7
";
    assert_eq!(print(&run, Names::default()), expected);
}

#[test]
fn what_does_not_follow_is_not_appended() {
    let second = block(SECOND);
    for (text, instead) in
        [("0x40, 0x16", "0x16, 0x40"), ("mode 0x1", "mode 0x2"), ("branch v5, 0x40, 0x16", "jump 0x16")]
    {
        let first = block(&FIRST.replace(text, instead));
        let mut run = first.clone();
        assert!(!run.append(&second), "{instead}");
        assert_eq!(run, first);
    }
}
