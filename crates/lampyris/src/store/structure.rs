//! LMDB's file, looked at without LMDB: every page that its newest snapshot reaches, read and judged, nothing mapped.
//!
//! In: bytes by offset. Out: how many pages and rows there are, each row to whoever asks, or the first thing that cannot
//! be. LMDB trusts its file: a page number past the end, a loop or a node that leaves its page make it read where nothing
//! is and the process dies. So this goes first. It knows the format of LMDB 0.9 (data version 1, 64 bits, the machine's
//! own byte order) and no more of it than our own use: no duplicates, integer keys but for names.

use std::collections::BTreeSet;
use std::io;

const MAGIC: u32 = 0xBEEF_C0DE;
const DATA_VERSION: u32 = 1;
const PAGE_HEAD: usize = 16;
const NODE_HEAD: usize = 8;
const NO_PAGE: u64 = u64::MAX;
const INTEGER_KEY: u16 = 0x08;
/// Deepest tree LMDB makes.
const DEPTH_MAX: u16 = 32;
const KEY_BYTES_MAX: usize = 511;

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
const META: u16 = 0x08;
/// The flags that say what a page is.
const KINDS: u16 = 0x6f;
const BIG_DATA: u16 = 0x01;
const SUB_DATABASE: u16 = 0x02;

/// Where the bytes come from.
pub(crate) trait Source {
    /// How many there are.
    fn len(&self) -> u64;
    /// Fills `into` from `offset` on; the range is inside `len`.
    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

/// A file, at the length it had when it was looked at.
pub(crate) struct FileSource {
    file: std::fs::File,
    len: u64,
}

impl FileSource {
    /// Opens it for reading.
    pub(crate) fn open(path: &std::path::Path) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self { file, len })
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, into, offset)
    }
}

/// Why a file was not walked to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    /// It is not as LMDB writes it.
    #[error("page {page}: {what}")]
    Damaged {
        /// Where.
        page: u64,
        /// What cannot be.
        what: &'static str,
    },
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// A later snapshot has taken the place of the one asked for.
    #[error("the snapshot is gone")]
    Gone,
}

/// What a whole file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walked {
    /// Pages of the file.
    pub(crate) pages: u64,
    /// Pages that hold something.
    pub(crate) used: u64,
    /// Pages that wait to be used again.
    pub(crate) free: u64,
    /// Rows of all named databases.
    pub(crate) rows: u64,
    /// The snapshot's number.
    pub(crate) snapshot: u64,
}

/// Takes each row: the name of its database, its key and its bytes.
pub(crate) type EachRow<'a> = &'a mut dyn FnMut(&[u8], &[u8], &[u8]);

/// Walks the newest snapshot, or the one of this number.
pub(crate) fn walk(source: &dyn Source, snapshot: Option<u64>, each: EachRow<'_>) -> Result<Walked, Flaw> {
    let meta = newest_meta(source, snapshot)?;
    let pages = source.len() / meta.page_bytes as u64;
    let mut walk = Walk {
        source,
        meta,
        pages,
        seen: vec![0; usize::try_from(pages / 8 + 1).map_err(|_| damaged(0, "the file is too large"))?],
        used: 2,
        rows: 0,
        free: 0,
        free_beyond: BTreeSet::new(),
        free_pages: Vec::new(),
    };
    let main = meta.main;
    let mut named = Vec::new();
    walk.tree(&main, Order::Bytes, &mut |walk, node| {
        if node.flags != SUB_DATABASE {
            return Err(damaged(node.page, "the main database holds something else than databases"));
        }
        let tree = Tree::read(node.data).ok_or(damaged(node.page, "half a database"))?;
        walk.named(node.page, &tree)?;
        named.push((node.key.to_vec(), tree));
        Ok(())
    })?;
    for (name, tree) in &named {
        let order = if tree.flags & INTEGER_KEY == 0 { Order::Bytes } else { Order::Integers };
        walk.tree(tree, order, &mut |walk, node| {
            if node.flags & !BIG_DATA != 0 {
                return Err(damaged(node.page, "a row of an unknown kind"));
            }
            walk.rows += 1;
            each(name, node.key, node.data);
            Ok(())
        })?;
    }
    let free = meta.free;
    walk.tree(&free, Order::Integers, &mut |walk, node| walk.free_list(node))?;
    walk.free_pages_are_free()?;
    Ok(Walked { pages, used: walk.used, free: walk.free, rows: walk.rows, snapshot: meta.snapshot })
}

const fn damaged(page: u64, what: &'static str) -> Flaw {
    Flaw::Damaged { page, what }
}

/// How keys are ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Bytes,
    Integers,
}

impl Order {
    fn is_before(self, a: &[u8], b: &[u8]) -> bool {
        match self {
            Self::Bytes => a < b,
            Self::Integers => u64_at(a, 0) < u64_at(b, 0),
        }
    }

    const fn takes(self, key: &[u8]) -> bool {
        match self {
            Self::Bytes => !key.is_empty() && key.len() <= KEY_BYTES_MAX,
            Self::Integers => key.len() == 8,
        }
    }
}

/// A tree, as the page above it describes it.
#[derive(Clone, Copy, Default)]
struct Tree {
    flags: u16,
    depth: u16,
    branches: u64,
    leaves: u64,
    overflows: u64,
    entries: u64,
    root: u64,
}

impl Tree {
    const BYTES: usize = 48;

    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != Self::BYTES {
            return None;
        }
        Some(Self {
            flags: u16_at(bytes, 4)?,
            depth: u16_at(bytes, 6)?,
            branches: u64_at(bytes, 8)?,
            leaves: u64_at(bytes, 16)?,
            overflows: u64_at(bytes, 24)?,
            entries: u64_at(bytes, 32)?,
            root: u64_at(bytes, 40)?,
        })
    }
}

#[derive(Clone, Copy)]
struct Meta {
    page_bytes: usize,
    free: Tree,
    main: Tree,
    last_page: u64,
    snapshot: u64,
}

fn newest_meta(source: &dyn Source, snapshot: Option<u64>) -> Result<Meta, Flaw> {
    let first = read_meta(source, 0, 0)?;
    let second = read_meta(source, 1, first.page_bytes as u64)?;
    if second.page_bytes != first.page_bytes {
        return Err(damaged(1, "the page size differs from that of page 0"));
    }
    match snapshot {
        None if second.snapshot > first.snapshot => Ok(second),
        None => Ok(first),
        Some(wanted) => [first, second].into_iter().find(|meta| meta.snapshot == wanted).ok_or(Flaw::Gone),
    }
}

fn read_meta(source: &dyn Source, page: u64, offset: u64) -> Result<Meta, Flaw> {
    const BYTES: usize = PAGE_HEAD + 136;
    let mut bytes = [0; BYTES];
    if offset + BYTES as u64 > source.len() {
        return Err(damaged(page, "the file ends before it"));
    }
    source.read(offset, &mut bytes)?;
    let cut = || damaged(page, "half a head");
    if u64_at(&bytes, 0) != Some(page) || u16_at(&bytes, 10).is_none_or(|flags| flags & META == 0) {
        return Err(damaged(page, "it is no head of a store"));
    }
    let meta = bytes.get(PAGE_HEAD..).ok_or_else(cut)?;
    if u32_at(meta, 0) != Some(MAGIC) {
        return Err(damaged(page, "the magic number is not LMDB's"));
    }
    if u32_at(meta, 4) != Some(DATA_VERSION) {
        return Err(damaged(page, "the file's version is unknown"));
    }
    let page_bytes = u32_at(meta, 24).ok_or_else(cut)?;
    if !page_bytes.is_power_of_two() || !(512..=65536).contains(&page_bytes) {
        return Err(damaged(page, "the page size cannot be"));
    }
    let free = meta.get(24..72).and_then(Tree::read).ok_or_else(cut)?;
    let main = meta.get(72..120).and_then(Tree::read).ok_or_else(cut)?;
    if u64_at(meta, 8) != Some(0) || free.flags != INTEGER_KEY || main.flags != 0 {
        return Err(damaged(page, "the flags are not ours"));
    }
    Ok(Meta {
        page_bytes: usize::try_from(page_bytes).unwrap_or(4096),
        free,
        main,
        last_page: u64_at(meta, 120).ok_or_else(cut)?,
        snapshot: u64_at(meta, 128).ok_or_else(cut)?,
    })
}

/// An entry of a leaf.
struct Node<'a> {
    page: u64,
    flags: u16,
    key: &'a [u8],
    data: &'a [u8],
}

struct Walk<'a> {
    source: &'a dyn Source,
    meta: Meta,
    pages: u64,
    /// A bit for each page of the file that was reached.
    seen: Vec<u8>,
    used: u64,
    rows: u64,
    free: u64,
    /// Free pages past the end of the file, which LMDB may leave unwritten.
    free_beyond: BTreeSet<u64>,
    free_pages: Vec<u64>,
}

/// What was met in one tree so far.
#[derive(Default)]
struct Tally {
    branches: u64,
    leaves: u64,
    overflows: u64,
    entries: u64,
    /// The key met last, and whether the next may equal it (a separator may, since it is the first key behind it).
    last: Option<(Vec<u8>, bool)>,
}

impl Tally {
    fn next_key(&mut self, order: Order, key: &[u8], is_separator: bool) -> bool {
        let in_order = match &self.last {
            None => true,
            Some((last, may_equal)) => order.is_before(last, key) || (*may_equal && last.as_slice() == key),
        };
        let (last, may_equal) = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
        *may_equal = is_separator;
        in_order
    }
}

type EachNode<'f> = &'f mut dyn FnMut(&mut Walk<'_>, Node<'_>) -> Result<(), Flaw>;

impl Walk<'_> {
    /// What a named database must be before it is walked.
    fn named(&self, page: u64, tree: &Tree) -> Result<(), Flaw> {
        if tree.flags & !INTEGER_KEY == 0 {
            Ok(())
        } else {
            Err(damaged(page, "a database of an unknown kind"))
        }
    }

    fn tree(&mut self, tree: &Tree, order: Order, each: EachNode<'_>) -> Result<(), Flaw> {
        let mut tally = Tally::default();
        if tree.root != NO_PAGE {
            if tree.depth == 0 || tree.depth > DEPTH_MAX {
                return Err(damaged(tree.root, "a tree as deep as none can be"));
            }
            self.node_page(tree.root, tree.depth, order, &mut tally, each)?;
        }
        let counted = (tally.branches, tally.leaves, tally.overflows, tally.entries);
        if counted == (tree.branches, tree.leaves, tree.overflows, tree.entries) {
            Ok(())
        } else {
            Err(damaged(tree.root, "a tree has not as many pages and rows as it says"))
        }
    }

    /// Takes a page, once.
    fn page(&mut self, page: u64, into: &mut Vec<u8>) -> Result<(), Flaw> {
        self.reach(page)?;
        into.clear();
        into.resize(self.meta.page_bytes, 0);
        self.source.read(page * self.meta.page_bytes as u64, into)?;
        if u64_at(into, 0) == Some(page) { Ok(()) } else { Err(damaged(page, "it says it is another page")) }
    }

    fn reach(&mut self, page: u64) -> Result<(), Flaw> {
        if page < 2 || page > self.meta.last_page {
            return Err(damaged(page, "there is no such page"));
        }
        if page >= self.pages {
            return Err(damaged(page, "the file ends before it"));
        }
        if self.is_seen(page) {
            return Err(damaged(page, "it is reached twice"));
        }
        if let Some(byte) = usize::try_from(page / 8).ok().and_then(|at| self.seen.get_mut(at)) {
            *byte |= 1 << (page % 8);
        }
        self.used += 1;
        Ok(())
    }

    fn is_seen(&self, page: u64) -> bool {
        let byte = usize::try_from(page / 8).ok().and_then(|at| self.seen.get(at));
        byte.is_some_and(|byte| byte & (1 << (page % 8)) != 0)
    }

    fn node_page(
        &mut self,
        number: u64,
        depth: u16,
        order: Order,
        tally: &mut Tally,
        each: EachNode<'_>,
    ) -> Result<(), Flaw> {
        let bad = |what| damaged(number, what);
        let mut page = Vec::new();
        self.page(number, &mut page)?;
        let kind = u16_at(&page, 10).unwrap_or_default() & KINDS;
        if kind != if depth == 1 { LEAF } else { BRANCH } {
            return Err(bad("it is not the kind of page that belongs here"));
        }
        let lower = usize::from(u16_at(&page, 12).unwrap_or_default());
        let upper = usize::from(u16_at(&page, 14).unwrap_or_default());
        // Why: in pages of 64 KiB an empty page's upper bound does not fit its field; we never have such.
        if lower < PAGE_HEAD || lower % 2 != 0 || lower > upper || upper > page.len() {
            return Err(bad("its bounds cannot be"));
        }
        let count = (lower - PAGE_HEAD) / 2;
        if count < if kind == BRANCH { 2 } else { 1 } {
            return Err(bad("it is empty"));
        }
        if kind == BRANCH {
            tally.branches += 1
        } else {
            tally.leaves += 1
        }
        let mut taken = Vec::with_capacity(count);
        for at in 0..count {
            let begin = usize::from(u16_at(&page, PAGE_HEAD + 2 * at).unwrap_or_default());
            let node = page.get(begin..).filter(|node| begin >= upper && node.len() >= NODE_HEAD);
            let node = node.ok_or(bad("a node outside of the page"))?;
            let low = u64::from(u16_at(node, 0).unwrap_or_default())
                | u64::from(u16_at(node, 2).unwrap_or_default()) << 16;
            let flags = u16_at(node, 4).unwrap_or_default();
            let key_bytes = usize::from(u16_at(node, 6).unwrap_or_default());
            let data_begin = NODE_HEAD + key_bytes;
            let key = node.get(NODE_HEAD..data_begin).ok_or(bad("a key outside of the page"))?;
            let in_page = if kind == BRANCH {
                0
            } else if flags & BIG_DATA != 0 {
                8
            } else {
                usize::try_from(low).map_err(|_| bad("a row of impossible length"))?
            };
            let end = data_begin.checked_add(in_page).filter(|end| *end <= node.len());
            let end = end.ok_or(bad("a row outside of the page"))?;
            taken.push((begin, begin + end));
            if kind == BRANCH {
                // The leftmost key of a branch stands for everything before the next one.
                if at > 0 && (!order.takes(key) || !tally.next_key(order, key, true)) {
                    return Err(bad("keys out of order"));
                }
                let child = low | u64::from(flags) << 32;
                self.node_page(child, depth - 1, order, tally, each)?;
                continue;
            }
            if !order.takes(key) || !tally.next_key(order, key, false) {
                return Err(bad("keys out of order"));
            }
            tally.entries += 1;
            let data = node.get(data_begin..end).unwrap_or_default();
            if flags & BIG_DATA == 0 {
                each(self, Node { page: number, flags, key, data })?;
            } else {
                let at = u64_at(data, 0).unwrap_or(NO_PAGE);
                let data = self.overflow(at, low, tally)?;
                each(self, Node { page: number, flags, key, data: &data })?;
            }
        }
        taken.sort_unstable();
        if taken.windows(2).any(|pair| matches!(pair, [(_, end), (begin, _)] if end > begin)) {
            return Err(bad("nodes lie on each other"));
        }
        Ok(())
    }

    /// The bytes of a row that has pages of its own.
    fn overflow(&mut self, first: u64, bytes: u64, tally: &mut Tally) -> Result<Vec<u8>, Flaw> {
        let bad = |what| damaged(first, what);
        let page_bytes = self.meta.page_bytes as u64;
        let mut page = Vec::new();
        self.page(first, &mut page)?;
        if u16_at(&page, 10).unwrap_or_default() & KINDS != OVERFLOW {
            return Err(bad("it is not the kind of page that belongs here"));
        }
        let pages = u64::from(u32_at(&page, 12).unwrap_or_default());
        // Why: a row that became shorter keeps the pages it has.
        if pages < (PAGE_HEAD as u64 + bytes).div_ceil(page_bytes) {
            return Err(bad("a row has fewer pages than it needs"));
        }
        for more in 1..pages {
            self.reach(first + more)?;
        }
        tally.overflows += pages;
        let bytes = usize::try_from(bytes).map_err(|_| bad("a row of impossible length"))?;
        let mut data = vec![0; bytes];
        self.source.read(first * page_bytes + PAGE_HEAD as u64, &mut data)?;
        Ok(data)
    }

    /// Pages that were given back by one transaction: their number, then theirs, falling.
    fn free_list(&mut self, node: Node<'_>) -> Result<(), Flaw> {
        let bad = |what| damaged(node.page, what);
        let count = u64_at(node.data, 0).ok_or(bad("half a list of free pages"))?;
        let list = usize::try_from(count)
            .ok()
            .and_then(|count| node.data.get(8..count.checked_mul(8)?.checked_add(8)?));
        let list = list.ok_or(bad("a list of free pages that is cut"))?;
        let mut before = NO_PAGE;
        for entry in list.chunks_exact(8) {
            let page = u64_at(entry, 0).unwrap_or(NO_PAGE);
            if page < 2 || page > self.meta.last_page || page >= before {
                return Err(bad("a free page that cannot be"));
            }
            before = page;
            self.free += 1;
            if page >= self.pages {
                if !self.free_beyond.insert(page) {
                    return Err(damaged(page, "it is free twice"));
                }
            } else {
                self.free_pages.push(page);
            }
        }
        Ok(())
    }

    /// No free page is used or free twice, and what lies past the end of the file is free.
    fn free_pages_are_free(&mut self) -> Result<(), Flaw> {
        for page in std::mem::take(&mut self.free_pages) {
            let used = self.used;
            self.reach(page).map_err(|flaw| match flaw {
                Flaw::Damaged { page, what: "it is reached twice" } => damaged(page, "it is free and used"),
                other => other,
            })?;
            self.used = used;
        }
        let beyond = (self.meta.last_page.saturating_add(1)).saturating_sub(self.pages);
        if beyond > self.free_beyond.len() as u64 {
            return Err(damaged(self.pages, "the file ends before its last page"));
        }
        Ok(())
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}
