//! The traces that are built into the binary; `traces/README.md` says where they are from.

/// One of them, as it is in its files.
#[derive(Debug)]
pub struct BuiltIn {
    /// What reports call it.
    pub name: &'static str,
    pub(crate) keys: &'static [u8],
    pub(crate) sizes: Option<&'static [u8]>,
}

/// What policies reach on them, in the form of a folder's `rows.csv`.
#[cfg(feature = "peers")]
pub(crate) const ROWS: &str = include_str!("../traces/rows.csv");

/// What policies that know the future reach on those with sizes, in the form of a folder's `rows_sizes.csv`.
#[cfg(feature = "peers")]
pub(crate) const ROWS_WITH_SIZES: &str = include_str!("../traces/rows_sizes.csv");

/// All of them; the first is replayed when none is named.
pub static TRACES: [BuiltIn; 3] = [
    BuiltIn { name: "web12", keys: include_bytes!("../traces/web12.u64.zst"), sizes: None },
    BuiltIn {
        name: "web-nasa",
        keys: include_bytes!("../traces/web-nasa.u64.zst"),
        sizes: Some(include_bytes!("../traces/web-nasa.u32.zst")),
    },
    BuiltIn {
        name: "lirs-multi3",
        keys: include_bytes!("../traces/lirs-multi3.u64.zst"),
        sizes: None,
    },
];
