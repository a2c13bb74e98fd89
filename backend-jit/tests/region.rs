//! What a region is made of.

use emu_backend_jit::{BlockSource, Region};
use emu_ir::text::{Names, parse};
use emu_ir::{Block, BlockKey, Slot, Terminator};
use std::sync::Arc;

/// Blocks by their text, and where their indirect jumps have gone.
#[derive(Default)]
struct Source {
    blocks: Vec<Arc<Block>>,
    targets: Vec<(u64, u64)>,
    /// Memory from [`TABLE`] on, which each register points to.
    table: Vec<u64>,
}

const TABLE: u64 = 0x1000;

impl BlockSource for Source {
    fn block(&mut self, key: BlockKey, max_insns: usize) -> Option<Arc<Block>> {
        self.blocks.iter().find(|block| block.key == key && block.marks.len() <= max_insns).cloned()
    }

    fn indirect_targets(&self, key: BlockKey) -> Vec<u64> {
        self.targets.iter().filter(|(from, _)| *from == key.pc).map(|(_, to)| *to).collect()
    }

    fn register(&self, _: BlockKey, _: Slot) -> Option<u64> {
        Some(TABLE)
    }

    fn load(&self, addr: u64, bytes: u8) -> Option<u64> {
        assert_eq!(bytes, 8);
        self.table.get((addr - TABLE) as usize / 8).copied()
    }
}

/// A block of one instruction with this end.
fn block(pc: u64, end: &str) -> Arc<Block> {
    let text = format!("block {pc:#x} mode 0x0\ninsn {pc:#x} len 4\n  v0 = get.i64 slot5\n  {end}\n");
    Arc::new(parse(&text, Names::default()).expect("a block"))
}

#[test]
fn a_function_returns_behind_its_jump_table() {
    let blocks = vec![
        block(0x10, "call 0x40 ret 0x14"),
        block(0x14, "jump 0x10"),
        // A switch, whose only case that was seen ends the function.
        block(0x40, "jump v0"),
        block(0x60, "return v0"),
    ];
    let mut source = Source { blocks, targets: vec![(0x40, 0x60)], ..Source::default() };
    let region = Region::discover(BlockKey { pc: 0x10, mode: 0 }, 100, &mut source).expect("a region");
    let at = |pc| region.blocks.iter().position(|b| b.block.key.pc == pc).expect("in the region");
    assert_eq!(region.blocks[at(0x40)].known_targets, [at(0x60)]);
    assert_eq!(region.blocks[at(0x60)].known_targets, [at(0x14)]);
    assert!(region.blocks[at(0x10)].is_loop_header());
}

#[test]
fn blocks_that_end_with_one_jump_share_its_targets() {
    let whole = "block 0x10 mode 0x0\ninsn 0x10 len 4\n  v0 = get.i64 slot5\ninsn 0x14 len 4\n  jump v0\n";
    let blocks = vec![
        Arc::new(parse(whole, Names::default()).expect("a block")),
        // Its beginning, which is what is left of it where the second instruction is a target, too.
        block(0x10, "jump 0x14"),
        block(0x14, "jump v0"),
        block(0x60, "jump 0x14"),
        block(0x64, "jump 0x10"),
    ];
    let mut source = Source { blocks, targets: vec![(0x10, 0x60), (0x14, 0x64)], ..Source::default() };
    let region = Region::discover(BlockKey { pc: 0x10, mode: 0 }, 100, &mut source).expect("a region");
    let at = |pc| region.blocks.iter().position(|b| b.block.key.pc == pc).expect("in the region");
    assert_eq!(region.blocks[at(0x10)].known_targets, []);
    assert_eq!(region.blocks[at(0x10)].successors, [at(0x14)]);
    assert_eq!(region.blocks[at(0x14)].known_targets, [at(0x60), at(0x64)]);
}

#[test]
fn a_small_loop_gets_rounds_of_which_one_is_its_head() {
    let blocks = vec![
        block(0x8, "jump 0x10"),
        branch(0x10, "0x18, 0x14"),
        block(0x14, "jump 0x10"),
        block(0x18, "syscall next 0x1c"),
    ];
    let mut source = Source { blocks, targets: vec![], ..Source::default() };
    let region = Region::discover(BlockKey { pc: 0x8, mode: 0 }, 100, &mut source).expect("a region");
    let pcs: Vec<u64> = region.blocks.iter().map(|b| b.block.key.pc).collect();
    assert_eq!(pcs, [0x8, 0x10, 0x14, 0x18, 0x10, 0x14, 0x10, 0x14, 0x10, 0x14]);
    let heads: Vec<usize> = (0..region.blocks.len()).filter(|i| region.blocks[*i].is_loop_header()).collect();
    assert_eq!(heads, [1]);
    let ways: Vec<&[usize]> = region.blocks.iter().map(|b| &*b.successors).collect();
    assert_eq!(ways, [&[1][..], &[2, 3], &[4], &[], &[5, 3], &[6], &[7, 3], &[8], &[9, 3], &[1]]);
}

/// A block of one instruction that branches to the one or the other.
fn branch(pc: u64, ways: &str) -> Arc<Block> {
    let text = format!("block {pc:#x} mode 0x0\ninsn {pc:#x} len 4\n  v0 = get.i8 slot5\n  branch v0, {ways}\n");
    Arc::new(parse(&text, Names::default()).expect("a block"))
}

#[test]
fn a_loop_that_loads_with_long_steps_keeps_one_round() {
    let rounds = |step: i64| {
        let text = format!(
            "block 0x10 mode 0x0\ninsn 0x10 len 4\n  v0 = get.i64 slot5\n  v1 = load.i64.u8 v0\n  v2 = const.i64 {step}\n  \
             v3 = add.i64 v0, v2\n  set slot5, v3\n  jump 0x10\n"
        );
        let blocks = vec![Arc::new(parse(&text, Names::default()).expect("a block"))];
        let mut source = Source { blocks, targets: vec![], ..Source::default() };
        Region::discover(BlockKey { pc: 0x10, mode: 0 }, 100, &mut source).expect("a region").blocks.len()
    };
    assert_eq!([64, -64, 72].map(rounds), [4, 4, 1]);
}

/// What is known of a register has come by the ways that are known: it must not add another one.
#[test]
fn a_computed_jump_becomes_one_only_to_where_it_was_known_to_go() {
    let set = |pc: u64, value: u64, end: &str| {
        let text =
            format!("block {pc:#x} mode 0x0\ninsn {pc:#x} len 4\n  v0 = const.i64 {value}\n  set slot5, v0\n  {end}\n");
        Arc::new(parse(&text, Names::default()).expect("a block"))
    };
    let region = |targets| {
        let blocks =
            vec![set(0x10, 0x30, "call 0x20 ret 0x30"), block(0x20, "jump v0"), block(0x30, "syscall next 0x34")];
        let mut source = Source { blocks, targets, ..Source::default() };
        Region::discover(BlockKey { pc: 0x10, mode: 0 }, 100, &mut source).expect("a region")
    };
    let ways = |region: &Region| region.blocks.iter().map(|b| b.successors.clone()).collect::<Vec<_>>();
    assert_eq!(ways(&region(vec![])), [vec![1], vec![], vec![]]);
    let known = region(vec![(0x20, 0x30)]);
    assert_eq!(ways(&known), [vec![1], vec![2], vec![]]);
    assert!(matches!(known.blocks[1].block.term, Terminator::Jump { target: 0x30, .. }));
}

/// Where a jump by a table is known to go: it was seen to go to the first `seen` of ten blocks, from 0x20 on, all in the region.
fn targets_by_table(code: &str, seen: usize, table: &[u64]) -> Vec<u64> {
    let code = format!("block 0x10 mode 0x0\ninsn 0x10 len 4\n{code}");
    let jump = Arc::new(parse(&code, Names::default()).expect("a block"));
    let places: Vec<u64> = (2..12).map(|n| n << 4).collect();
    let mut blocks = vec![jump];
    blocks.extend(places.iter().map(|pc| block(*pc, "jump 0x10")));
    let targets = places[..seen].iter().map(|to| (0x10, *to)).collect();
    let mut source = Source { blocks, targets, table: table.to_vec() };
    let region = Region::discover(BlockKey { pc: 0x10, mode: 0 }, 100, &mut source).expect("a region");
    let pc = |i: &usize| region.blocks[*i].block.key.pc;
    region.blocks[region.entry].known_targets.iter().map(pc).collect()
}

/// A jump by a table at slot6, at the index that is in slot5.
const BY_TABLE: &str = "  v0 = get.i64 slot5\n  v1 = const.i64 3\n  v2 = shl.i64 v0, v1\n  v3 = get.i64 slot6\n  \
    v4 = add.i64 v2, v3\n  v5 = load.i64.u8 v4\n  jump v5\n";

/// Where it was seen to go if it was seen to go to so many places that it goes to all.
const SEEN: [u64; 8] = [0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90];

#[test]
fn a_jump_to_many_places_goes_to_all_that_its_table_has() {
    let all = [&SEEN[..], &[0xa0, 0xb0]].concat();
    assert_eq!(targets_by_table(BY_TABLE, 8, &[0xb0, 0x20, 0xa0, 0x20]), all);
    assert_eq!(targets_by_table(BY_TABLE, 7, &[0xb0, 0x20, 0xa0, 0x20]), SEEN[..7]);
    // The end of the memory, and what is no code near by, is the end of the table.
    assert_eq!(targets_by_table(BY_TABLE, 8, &[0xa0]), all[..9]);
    assert_eq!(targets_by_table(BY_TABLE, 8, &[0xa0, 0x1234_5678_9abc, 0xb0]), all[..9]);
}

#[test]
fn an_index_may_be_a_zero_extended_word() {
    let word = "v6 = const.i64 32\n  v7 = shl.i64 v0, v6\n  v1 = const.i64 29\n  v2 = shru.i64 v7, v1";
    let code = BY_TABLE.replace("v1 = const.i64 3\n  v2 = shl.i64 v0, v1", word);
    assert_eq!(targets_by_table(&code, 8, &[0xa0, 0xb0]), [&SEEN[..], &[0xa0, 0xb0]].concat());
}

#[test]
fn a_register_that_the_block_writes_tells_of_no_table() {
    let code = BY_TABLE.replace("  jump", "  set slot6, v5\n  jump");
    assert_eq!(targets_by_table(&code, 8, &[0xa0]), SEEN);
    // That of the index may change.
    let code = BY_TABLE.replace("  jump", "  set slot5, v5\n  jump");
    assert_eq!(targets_by_table(&code, 8, &[0xa0]), [&SEEN[..], &[0xa0]].concat());
}

/// A region whose block at 0x10 branches on slot5 over the instruction at 0x14, which does this.
fn branch_over(what: &str, entry: u64, behind: &str) -> Region {
    branch_after("", what, entry, behind)
}

/// The same with a delay slot.
fn branch_after(slot: &str, what: &str, entry: u64, behind: &str) -> Region {
    let parse = |text: &str| Arc::new(parse(text, Names::default()).expect("a block"));
    let blocks = vec![
        parse(&format!(
            "block 0x10 mode 0x0\ninsn 0x10 len 4\n  v0 = get.i64 slot5\n  v1 = const.i64 9\n  v2 = icmp.lts.i64 v0, v1\n\
             {slot}  branch v2, 0x18, 0x14\n"
        )),
        parse(&format!("block 0x14 mode 0x0\ninsn 0x14 len 4\n{what}  jump 0x18\n")),
        block(0x18, behind),
    ];
    let mut source = Source { blocks, ..Source::default() };
    Region::discover(BlockKey { pc: entry, mode: 0 }, 100, &mut source).expect("a region")
}

#[test]
fn a_branch_over_what_depends_on_data_becomes_a_selection() {
    let addresses = |what| {
        let region = branch_over(what, 0x10, "syscall next 0x1c");
        region.blocks.iter().map(|rb| rb.block.key.pc).collect::<Vec<_>>()
    };
    let joined = [0x10, 0x18];
    assert_eq!(addresses("  v0 = const.i64 9\n  set slot5, v0\n"), joined, "a bound for what is compared");
    assert_eq!(addresses("  v0 = get.i64 slot5\n  set slot6, v0\n"), joined, "a copy of it");
    assert_eq!(addresses("  v0 = get.i64 slot6\n  v1 = add.i64 v0, v0\n  set slot6, v1\n"), joined, "a sum");
    let apart = [0x10, 0x14, 0x18];
    assert_eq!(addresses("  v0 = const.i64 9\n  set slot6, v0\n"), apart, "mostly foreseen");
    assert_eq!(addresses("  v0 = get.i64 slot5\n  v1 = load.i64.u8 v0\n  set slot5, v1\n"), apart, "may fault");
    assert_eq!(addresses("  v0 = get.i64 slot5\n  v1 = divs.i64 v0, v0\n  set slot5, v1\n"), apart, "takes long");
}

#[test]
fn what_a_branch_goes_over_stays_a_block_where_others_lead_to() {
    let what = "  v0 = const.i64 9\n  set slot5, v0\n";
    let parts = |region: Region| region.blocks.iter().flat_map(|rb| rb.parts()).collect::<Vec<_>>();
    assert_eq!(parts(branch_over(what, 0x10, "call 0x10 ret 0x1c")), [(0x10, 1), (0x14, 1), (0x18, 1)]);
    let twice = [(0x10, 1), (0x14, 1), (0x14, 1), (0x18, 1)];
    assert_eq!(parts(branch_over(what, 0x10, "call 0x14 ret 0x1c")), twice);
    assert_eq!(parts(branch_over(what, 0x14, "call 0x10 ret 0x1c")), twice);
}

/// Where it goes on after an effect that must not be repeated is known only there.
#[test]
fn a_branch_with_a_store_in_its_slot_stays() {
    let blocks =
        |slot| branch_after(slot, "  v0 = const.i64 9\n  set slot5, v0\n", 0x10, "syscall next 0x1c").blocks.len();
    assert_eq!(blocks("insn 0x10 len 4\n  set slot6, v0\n"), 2);
    assert_eq!(blocks("insn 0x10 len 4\n  store.u8 v0, v1\n"), 3);
}
