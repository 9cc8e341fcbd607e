use std::collections::BTreeSet;

use super::{Chosen, Hashers, IDS, Lookup, Peer, Peers, Visit, each};

#[derive(Default)]
struct Names {
    ids: BTreeSet<&'static str>,
    visits: usize,
}

impl Visit for Names {
    fn visit<P: Peer>(&mut self) {
        self.ids.insert(P::ID);
        self.visits += 1;
    }
}

fn names(chosen: &str, hashers: Hashers) -> Names {
    let chosen = chosen.parse().expect("known names");
    let mut names = Names::default();
    each(Peers { chosen, hashers }, &mut names);
    names
}

#[test]
fn every_name_is_a_peers() {
    for hashers in [Hashers::Same, Hashers::Own] {
        let all = names("all", hashers);
        assert_eq!(all.ids, BTreeSet::from(IDS));
        assert_eq!(all.visits, IDS.len() + 1);
    }
}

#[test]
fn clockhand_and_the_reference_always_take_part() {
    for hashers in [Hashers::Same, Hashers::Own] {
        let ids = names("moka,lru", hashers).ids;
        assert_eq!(ids, BTreeSet::from(["clockhand", "lru", "moka", "quick_cache"]));
    }
    assert_eq!(names("clockhand", Hashers::Same).visits, 3);
}

#[test]
fn unknown_names_are_refused() {
    for names in ["", "mokka", "moka,", "Moka", "all,moka", "moka lru"] {
        let error = names.parse::<Chosen>().expect_err(names);
        assert!(error.contains("there is no peer") && error.contains("tinyufo"), "{error}");
    }
}

struct KeepsTen;

impl Visit for KeepsTen {
    fn visit<P: Peer>(&mut self) {
        let cache = P::with_capacity(1000);
        (0..10).for_each(|key| cache.insert(key, key));
        (0..10).for_each(|key| cache.insert(key, key + 1));
        let mut lookup = cache.lookup();
        for key in 0..10 {
            assert_eq!(lookup.get(&key), Some(key + 1), "{}", P::NAME);
        }
        assert_eq!(lookup.get(&10), None, "{}", P::NAME);
        assert!(cache.entries() >= 10, "{}", P::NAME);
    }
}

#[test]
fn every_peer_returns_what_was_put_in_last() {
    for hashers in [Hashers::Same, Hashers::Own] {
        each(Peers { chosen: Chosen::ALL, hashers }, &mut KeepsTen);
    }
}
