//! Runs the examples of `docs/examples`, which assert what they show.

macro_rules! examples {
    ($($(#[$when:meta])* $name:ident = $path:literal),* $(,)?) => {
        $(
            $(#[$when])*
            #[path = $path]
            mod $name;
        )*

        mod runs {
            $(
                $(#[$when])*
                #[test]
                fn $name() {
                    super::$name::main();
                }
            )*
        }
    };
}

examples! {
    basics = "../../docs/examples/basics.rs",
    weights = "../../docs/examples/weights.rs",
    expiry = "../../docs/examples/expiry.rs",
    readers = "../../docs/examples/readers.rs",
    listener = "../../docs/examples/listener.rs",
    scan = "../../docs/examples/scan.rs",
    coalesced = "../../docs/examples/coalesced.rs",
    price_feed = "../../docs/examples/price_feed.rs",
    bulk = "../../docs/examples/bulk.rs",
    #[cfg(feature = "async")]
    async_loader = "../../docs/examples/async_loader.rs",
    #[cfg(feature = "predict")]
    predict = "../../docs/examples/predict.rs",
    #[cfg(feature = "dedup")]
    dedup = "../../docs/examples/dedup.rs",
    #[cfg(feature = "dedup")]
    kafka = "../../docs/examples/kafka.rs",
}
