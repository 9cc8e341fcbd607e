//! What stands in the brackets.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, Ident, Lit, LitBool, LitInt, LitStr, MetaNameValue, Result, Token, Type};

const KNOWN: &str =
    "max_size, ttl_secs, refresh_secs, name, key, convert, cache_err, result_fallback";

/// The options of one function.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) max_size: Option<LitInt>,
    pub(crate) ttl_secs: Option<LitInt>,
    pub(crate) refresh_secs: Option<LitInt>,
    pub(crate) name: Option<Ident>,
    /// The type of the key, and the expression that makes one.
    pub(crate) key: Option<(Type, Expr)>,
    pub(crate) cache_err: bool,
    pub(crate) result_fallback: bool,
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let (mut key, mut convert) = (None, None);
        let mut seen: Vec<Ident> = Vec::new();
        for option in Punctuated::<MetaNameValue, Token![,]>::parse_terminated(input)? {
            let name = option.path.require_ident()?.clone();
            if seen.contains(&name) {
                return Err(Error::new(name.span(), format!("`{name}` is given twice")));
            }
            let value = &option.value;
            match name.to_string().as_str() {
                "max_size" => options.max_size = Some(above_zero(value)?),
                "ttl_secs" => options.ttl_secs = Some(number(value)?),
                "refresh_secs" => options.refresh_secs = Some(above_zero(value)?),
                "name" => options.name = Some(text(value)?.parse()?),
                "key" => key = Some(parsed::<Type>(value)?),
                "convert" => convert = Some(parsed::<Expr>(value)?),
                "cache_err" => options.cache_err = truth(value)?,
                "result_fallback" => options.result_fallback = truth(value)?,
                _ => {
                    let message = format!("`{name}` is no option of memoize; there are: {KNOWN}");
                    return Err(Error::new(name.span(), message));
                }
            }
            seen.push(name);
        }
        options.key = match (key, convert) {
            (Some(key), Some(convert)) => Some((key, convert)),
            (None, None) => None,
            (Some(key), None) => {
                let message =
                    "`key` needs `convert`, which makes it of the arguments: convert = \"{ .. }\"";
                return Err(Error::new(key.span(), message));
            }
            (None, Some(convert)) => {
                let message = "`convert` needs `key`, the type of what it makes: key = \"String\"";
                return Err(Error::new(convert.span(), message));
            }
        };
        options.agree(&seen)?;
        Ok(options)
    }
}

impl Options {
    /// What contradicts itself.
    fn agree(&self, seen: &[Ident]) -> Result<()> {
        let at = |name: &str| {
            seen.iter()
                .find(|seen| *seen == name)
                .map_or_else(proc_macro2::Span::call_site, Ident::span)
        };
        if self.result_fallback && self.ttl_secs.is_none() {
            let message =
                "`result_fallback` returns a result whose time is over, and needs `ttl_secs`";
            return Err(Error::new(at("result_fallback"), message));
        }
        if self.result_fallback && self.cache_err {
            let message = "`cache_err` keeps errors, so that `result_fallback` would return them: leave one out";
            return Err(Error::new(at("cache_err"), message));
        }
        if self.refresh_secs.is_some() && self.key.is_some() {
            let message = "`refresh_secs` calls the function by the key, and needs all arguments in it: leave \
                           `key` and `convert` out";
            return Err(Error::new(at("refresh_secs"), message));
        }
        let seconds = |number: &Option<LitInt>| -> Result<Option<u64>> {
            number.as_ref().map(LitInt::base10_parse).transpose()
        };
        if let (Some(refresh), Some(ttl)) = (seconds(&self.refresh_secs)?, seconds(&self.ttl_secs)?)
            && refresh >= ttl
        {
            let message =
                "`refresh_secs` has to be less than `ttl_secs`, or nothing is left to be refreshed";
            return Err(Error::new(at("refresh_secs"), message));
        }
        Ok(())
    }
}

fn number(value: &Expr) -> Result<LitInt> {
    if let Expr::Lit(literal) = value
        && let Lit::Int(number) = &literal.lit
    {
        number.base10_parse::<u64>()?;
        return Ok(number.clone());
    }
    Err(Error::new(value.span(), "a number is wanted, as 60"))
}

fn above_zero(value: &Expr) -> Result<LitInt> {
    let number = number(value)?;
    if number.base10_parse::<u64>()? == 0 {
        return Err(Error::new(value.span(), "a number above zero is wanted"));
    }
    Ok(number)
}

fn truth(value: &Expr) -> Result<bool> {
    if let Expr::Lit(literal) = value
        && let Lit::Bool(LitBool { value, .. }) = &literal.lit
    {
        return Ok(*value);
    }
    Err(Error::new(value.span(), "`true` or `false` is wanted"))
}

fn text(value: &Expr) -> Result<LitStr> {
    if let Expr::Lit(literal) = value
        && let Lit::Str(text) = &literal.lit
    {
        return Ok(text.clone());
    }
    Err(Error::new(value.span(), "a text is wanted, as \"PAGES\""))
}

/// Code, as it is or in a text.
fn parsed<T: Parse>(value: &Expr) -> Result<T> {
    match text(value) {
        Ok(text) => text.parse(),
        Err(_) => {
            let code: TokenStream = value.to_token_stream();
            T::parse.parse2(code)
        }
    }
}
