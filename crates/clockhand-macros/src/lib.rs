//! The attribute `clockhand::memoize`.

mod expand;
mod function;
mod options;

use proc_macro::TokenStream;
use syn::{ItemFn, parse_macro_input};

/// Caches the results of a function: it is called once for equal arguments.
///
/// Of concurrent calls with equal arguments one runs the function, and the others wait for its result. The cache is a
/// static beside the function, named as that in capitals: `fn page` has `PAGE`, with all that a `clockhand::Cache` can do.
/// It is made at the first call.
///
/// Works on functions and `async` functions (feature `async` of `clockhand`, any runtime). Arguments may be references to
/// what can be cloned into something owned, as `&str` and `&[T]`; a hit makes no key. The result is returned as a clone.
/// Of a function that returns a `Result`, only `Ok` is kept. If the error can be cloned, all that wait for a call that fails
/// get it; if not, each of them calls the function itself.
///
/// # Options
///
/// The names are those of the crate `cached`.
///
/// | option | meaning | without it |
/// |---|---|---|
/// | `max_size = 1_000` | results that are kept at most | 1,000 |
/// | `ttl_secs = 60` | for how long a result is kept | until it has to make room |
/// | `refresh_secs = 30` | a result of this age is computed anew in the background when it is asked for; not for `async` functions | |
/// | `name = "PAGES"` | the name of the static | the function's, in capitals |
/// | `key = "String"`, `convert = "{ path.to_lowercase() }"` | what a result is kept by, and how it is made of the arguments | all arguments |
/// | `cache_err = true` | errors are kept like other results | they are not |
/// | `result_fallback = true` | where the function fails, the last result is returned, though it has expired; needs `ttl_secs` | the error |
///
/// # Panics
///
/// The function, if it panics itself, or if it calls itself with the same arguments.
///
/// # Examples
///
/// ```
/// use clockhand::memoize;
///
/// #[memoize(max_size = 100)]
/// fn fibonacci(n: u64) -> u64 {
///     if n < 2 { n } else { fibonacci(n - 1) + fibonacci(n - 2) }
/// }
///
/// #[memoize(ttl_secs = 60, name = "SIZES")]
/// fn size(path: &str, follow: bool) -> Result<u64, String> {
///     if path.is_empty() { Err("no path".into()) } else { Ok(path.len() as u64 + u64::from(follow)) }
/// }
///
/// assert_eq!(fibonacci(90), 2_880_067_194_370_816_120);
/// assert_eq!(size("/etc", false), Ok(4));
/// assert_eq!(size("", true), Err("no path".into()));
/// assert_eq!(SIZES.len(), 1);
/// SIZES.clear();
/// ```
#[proc_macro_attribute]
pub fn memoize(options: TokenStream, item: TokenStream) -> TokenStream {
    let options = parse_macro_input!(options as options::Options);
    let item = parse_macro_input!(item as ItemFn);
    let function = function::Function::new(item, options.key.is_some());
    let memoized = function.and_then(|function| expand::expand(&options, &function));
    memoized.unwrap_or_else(|error| error.to_compile_error()).into()
}
