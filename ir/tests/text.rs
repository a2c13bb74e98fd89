//! The text form: what is printed is read back, and errors say where.

#[path = "support/random.rs"]
mod random;

use emu_ir::text::{Names, parse, print};
use emu_ir::verify::verify;
use emu_ir::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn printed_blocks_are_read_back(choices in prop::collection::vec(any::<u32>(), 0..300)) {
        let block = random::block(&choices, true, true);
        verify(&block).expect("the generator makes valid blocks");
        let text = print(&block, Names::default());
        let read = parse(&text, Names::default()).unwrap_or_else(|e| panic!("{e}\n{text}"));
        prop_assert_eq!(&block, &read, "{}", text);
    }
}

fn helper(_: &mut CpuState, _: &mut dyn Env, _: &[u64]) -> Result<u64, Trap> {
    Ok(0)
}

#[test]
fn names_of_registers_and_helpers() {
    let slots = [SlotInfo { slot: Slot(9), name: "s1", ty: Type::I64 }];
    let helpers = [HelperDef { name: "csr", func: helper }];
    let names = Names { slots: &slots, helpers: &helpers };
    let text = "\
block 0x10 mode 0x3 nan legacy
insn 0x10 len 2
  v0 = get.i64 s1
  v1 = get.i64 slot8
  v2 = call.i64 csr(v0, v1)
  v3 = load.i64.s4be v0-2048
  set s1, v3
insn 0x12 len 4
  call v0 ret 0x16
";
    let block = parse(text, names).expect("a block");
    assert_eq!((block.key, block.nan), (BlockKey { pc: 0x10, mode: 3 }, NanRule::Legacy));
    assert_eq!(print(&block, names), text);
    assert!(block.to_string().contains("slot9, v3"));
}

#[test]
fn every_end_is_read_back() {
    for end in [
        "jump 0x20",
        "call 0x20 ret 0x14",
        "jump v0",
        "call v0 ret 0x14",
        "return v0",
        "branch v1, 0x20, 0x14",
        "syscall next 0x14",
        "exit mode_change to v0",
        "trap illegal 0xdead",
        "trap coprocessor 2",
        "trap breakpoint 3",
        "trap conditional 7",
        "trap overflow",
        "trap float_exception",
        "trap misaligned_target",
        "exit insn_fence next 0x14",
        "exit mode_change next 0x14",
        "exit yield next 0x14",
    ] {
        let head = "block 0x10 mode 0x0\ninsn 0x10 len 4\n  v0 = get.i64 slot1\n  v1 = get.i8 slot2\n";
        let text = format!("{head}  {end}\n");
        let block = parse(&text, Names::default()).unwrap_or_else(|e| panic!("{end}: {e}"));
        assert_eq!(block.to_string(), text);
    }
}

#[test]
fn errors_say_where() {
    let error = |line: &str| {
        let text = format!("block 0 mode 0 ; a comment\ninsn 0 len 4\n v0 = get.i64 slot1\n{line}\n jump 0x4");
        let e = parse(&text, Names::default()).expect_err(line);
        assert_eq!(e.line, 4, "{e}");
        (e.column, e.message)
    };
    let is = |column: usize, message: &str| (column, message.to_owned());
    assert_eq!(error(" v1 = add.i64 v0, v7"), is(19, "v7 is not defined"));
    assert_eq!(error(" v1 = frob.i64 v0"), is(7, "unknown instruction `frob`"));
    assert_eq!(error(" v1 = add.i65 v0, v0"), is(11, "`i65` is not a type"));
    assert_eq!(error(" v1 = add v0, v0"), is(7, "`add` lacks a type"));
    assert_eq!(error(" v1 = add.i64.i64 v0, v0"), is(15, "unexpected suffix `i64`"));
    assert_eq!(error(" v1 = add.i64 v0 v0"), is(18, "expected `,`"));
    assert_eq!(error(" v0 = clz.i64 v0"), is(2, "v0 is defined twice"));
    assert_eq!(error(" add.i64 v0, v0"), is(2, "the value of `add` needs a name"));
    assert_eq!(error(" v1 = const.i8 256"), is(16, "the constant does not fit i8"));
    assert_eq!(error(" v1 = const.i8 -129"), is(16, "the constant does not fit i8"));
    assert_eq!(error(" v1 = load.i64.x8 v0"), is(16, "`x8` is not an access width"));
    assert_eq!(error(" v1 = get.i64 slot128"), is(15, "expected a register"));
    assert_eq!(error(" v1 = clz.i64 v0 v0"), is(18, "unexpected `v0`"));
    assert_eq!(error(" v1 = clz.i32 v0"), is(1, "v0 is i64, not i32"));
    let early = parse("block 0 mode 0\ninsn 0 len 4", Names::default()).expect_err("no end");
    assert_eq!(early.to_string(), "line 2, column 1: the block has no end");
}
