//! The keys of a tier in Redis.
//!
//! | key | what | tracked |
//! |---|---|---|
//! | `{prefix}:d:KEY` | a value in its envelope | yes |
//! | `{prefix}:m:KEY` | the token of the loads of the key that are under way | no |
//! | `{prefix}:t:TAG` | the stamp of a tag | yes |
//! | `{prefix}:i:ID` | who processes an id, or that it is done | no |
//! | `{prefix}:g` | the server's run and the generation | yes |
//!
//! The braces keep them in one slot of a cluster, as scripts need it.

pub(crate) struct Names {
    values: Vec<u8>,
    markers: Vec<u8>,
    tags: Vec<u8>,
    ids: Vec<u8>,
    generation: Vec<u8>,
}

impl Names {
    pub(crate) fn new(prefix: &str) -> Self {
        let name = |rest: &str| format!("{{{prefix}}}:{rest}").into_bytes();
        Self {
            values: name("d:"),
            markers: name("m:"),
            tags: name("t:"),
            ids: name("i:"),
            generation: name("g"),
        }
    }

    pub(crate) fn value(&self, key: &[u8]) -> Vec<u8> {
        [&self.values, key].concat()
    }

    pub(crate) fn marker(&self, key: &[u8]) -> Vec<u8> {
        [&self.markers, key].concat()
    }

    pub(crate) fn id(&self, id: &[u8]) -> Vec<u8> {
        [&self.ids, id].concat()
    }

    pub(crate) fn generation(&self) -> &[u8] {
        &self.generation
    }

    /// What the server is asked to track.
    pub(crate) fn tracked(&self) -> [&[u8]; 3] {
        [&self.values, &self.tags, &self.generation]
    }

    /// What the names of tags begin with.
    pub(crate) fn tags(&self) -> &[u8] {
        &self.tags
    }

    /// The tag of a tag's name.
    pub(crate) fn tag<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        name.strip_prefix(&self.tags[..])
    }

    /// The key of a value's name.
    pub(crate) fn key<'n>(&self, name: &'n [u8]) -> Option<&'n [u8]> {
        name.strip_prefix(&self.values[..])
    }
}
