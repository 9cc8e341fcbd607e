//! What becomes of a function.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, Ident, Result};

use crate::function::{Argument, Function};
use crate::options::Options;

/// Results that are kept by default.
const MAX_SIZE: u64 = 1_000;

/// The key of a call.
struct Key {
    ty: TokenStream,
    /// Makes one of the arguments.
    make: TokenStream,
    /// What a result is looked up by; none where that needs a key.
    by: Option<TokenStream>,
}

impl Key {
    fn new(options: &Options, arguments: &[Argument]) -> Self {
        if let Some((ty, convert)) = &options.key {
            return Self { ty: quote!(#ty), make: quote!(#convert), by: None };
        }
        let types: Vec<_> = arguments.iter().map(Argument::key_type).collect();
        let parts: Vec<_> = arguments.iter().map(Argument::to_key).collect();
        let refs: Vec<_> = arguments.iter().map(Argument::to_ref).collect();
        match (&types[..], &parts[..], &refs[..]) {
            ([], ..) => Self { ty: quote!(()), make: quote!(()), by: Some(quote!(&())) },
            ([ty], [part], [by]) => {
                Self { ty: ty.clone(), make: part.clone(), by: Some(by.clone()) }
            }
            _ => Self {
                ty: quote!((#(#types,)*)),
                make: quote!((#(#parts,)*)),
                by: Some(quote!(&::clockhand::KeyRef((#(#refs,)*)))),
            },
        }
    }
}

/// The cache of a function, and how to call both.
struct Parts<'a> {
    options: &'a Options,
    function: &'a Function,
    key: Key,
    /// What is kept, and whether that is what is in an `Ok`.
    value: TokenStream,
    is_result: bool,
    name: Ident,
}

pub(crate) fn expand(options: &Options, function: &Function) -> Result<TokenStream> {
    let is_result = function.is_result && !options.cache_err;
    let output = &function.output;
    let at = &function.item.sig.ident;
    if options.result_fallback && !is_result {
        let message = "`result_fallback` is for functions that return a `Result`";
        return Err(Error::new_spanned(at, message));
    }
    if options.refresh_secs.is_some() && function.item.sig.asyncness.is_some() {
        let message = "`refresh_secs` needs somebody to run the function in the background, and an `async fn` has \
                       no thread of its own: use `Cache::loading` with an `AsyncLoader` and a `spawner`";
        return Err(Error::new_spanned(at, message));
    }
    let value = if is_result {
        quote!(<#output as ::clockhand::__private::IsResult>::Value)
    } else {
        quote!(#output)
    };
    let upper = || Ident::new(&at.to_string().trim_start_matches("r#").to_uppercase(), at.span());
    let name = options.name.clone().unwrap_or_else(upper);
    let key = Key::new(options, &function.arguments);
    let parts = Parts { options, function, key, value, is_result, name };
    let (cache, body) = if options.refresh_secs.is_some() {
        (parts.loading_cache(), parts.refreshed())
    } else if function.item.sig.asyncness.is_some() {
        (parts.cache(), parts.awaited())
    } else {
        (parts.cache(), parts.called())
    };
    let (attributes, visibility, signature) =
        (&function.item.attrs, &function.item.vis, &function.item.sig);
    Ok(quote! {
        #cache
        #(#attributes)*
        #visibility #signature {
            #body
        }
    })
}

impl Parts<'_> {
    fn documentation(&self) -> String {
        format!("The results of [`{}`].", self.function.item.sig.ident)
    }

    /// The arguments of `__private::cache`.
    fn settings(&self) -> TokenStream {
        let function = self.function.item.sig.ident.to_string();
        let max_size = match &self.options.max_size {
            Some(size) => quote!(#size),
            None => quote!(#MAX_SIZE),
        };
        let ttl = match &self.options.ttl_secs {
            Some(seconds) => quote!(::core::option::Option::Some(#seconds)),
            None => quote!(::core::option::Option::None),
        };
        let (refreshed, fallback) =
            (self.options.refresh_secs.is_some(), self.options.result_fallback);
        quote! {
            ::core::concat!(::core::module_path!(), "::", #function),
            (#max_size, #ttl, #refreshed, #fallback)
        }
    }

    fn cache(&self) -> TokenStream {
        let Self { name, value, key: Key { ty, .. }, .. } = self;
        let (visibility, settings, doc) =
            (&self.function.item.vis, self.settings(), self.documentation());
        quote! {
            #[doc = #doc]
            #visibility static #name: ::std::sync::LazyLock<::clockhand::Cache<#ty, #value>> =
                ::std::sync::LazyLock::new(|| ::clockhand::__private::cache(#settings));
        }
    }

    /// Returns what is there, or goes on with a key.
    fn look_up(&self) -> TokenStream {
        let Self { name, key: Key { ty, make, by }, .. } = self;
        let hit =
            if self.is_result { quote!(::core::result::Result::Ok(hit)) } else { quote!(hit) };
        let found = |by: &TokenStream| {
            quote! {
                if let ::core::option::Option::Some(hit) = ::clockhand::__private::found(&*#name, #by) {
                    return #hit;
                }
            }
        };
        match by {
            Some(by) => {
                let found = found(by);
                quote!(#found let key: #ty = #make;)
            }
            None => {
                let found = found(&quote!(&key));
                quote!(let key: #ty = #make; #found)
            }
        }
    }

    /// How an error is shared with others that wait.
    fn share(&self) -> TokenStream {
        quote! {
            |error| {
                #[allow(unused_imports)]
                use ::clockhand::__private::{ShareClone as _, ShareNothing as _};
                (&::clockhand::__private::Probe(error)).share()
            }
        }
    }

    fn called(&self) -> TokenStream {
        let (name, output, block) = (&self.name, &self.function.output, &self.function.item.block);
        let (look_up, fallback, share) =
            (self.look_up(), self.options.result_fallback, self.share());
        let call = quote!(move || -> #output #block);
        if self.is_result {
            quote!(#look_up ::clockhand::__private::try_load(&*#name, key, #fallback, #call, #share))
        } else {
            quote!(#look_up ::clockhand::__private::load(&*#name, key, #call))
        }
    }

    fn awaited(&self) -> TokenStream {
        let (name, output, block) = (&self.name, &self.function.output, &self.function.item.block);
        let (look_up, fallback, share) =
            (self.look_up(), self.options.result_fallback, self.share());
        let call = quote!(::clockhand::__private::typed::<#output, _>(async move #block));
        let load = if self.is_result {
            quote!(::clockhand::__private::try_load_async(&*#name, key, #fallback, #call, #share).await)
        } else {
            quote!(::clockhand::__private::load_async(&*#name, key, #call).await)
        };
        quote!(::clockhand::__with_async! { #look_up #load })
    }

    fn loading_cache(&self) -> TokenStream {
        let Self { name, value, key: Key { ty, .. }, .. } = self;
        let (visibility, settings, doc) =
            (&self.function.item.vis, self.settings(), self.documentation());
        let (output, block) = (&self.function.output, &self.function.item.block);
        let (error, refresh) = (self.error(), &self.options.refresh_secs);
        let arguments = &self.function.arguments;
        let of_key = arguments.iter().enumerate().map(|(nth, argument)| {
            let nth = syn::Index::from(nth);
            argument.of_key(&if arguments.len() == 1 { quote!(key) } else { quote!(&key.#nth) })
        });
        let result = if self.is_result {
            quote!(call(key))
        } else {
            quote!(::core::result::Result::Ok(call(key)))
        };
        let loader = quote!(fn(&#ty) -> ::core::result::Result<#value, #error>);
        let key = format_ident!("key");
        quote! {
            #[doc = #doc]
            #visibility static #name: ::std::sync::LazyLock<::clockhand::LoadingCache<#ty, #value, #loader>> =
                ::std::sync::LazyLock::new(|| {
                    #[allow(unused_variables, unused_mut)]
                    fn call(#key: &#ty) -> #output {
                        #(#of_key)*
                        #block
                    }
                    fn load(#key: &#ty) -> ::core::result::Result<#value, #error> {
                        #result
                    }
                    ::clockhand::__private::loading(#settings, #refresh, load as #loader)
                });
        }
    }

    fn error(&self) -> TokenStream {
        let output = &self.function.output;
        if self.is_result {
            quote!(<#output as ::clockhand::__private::IsResult>::Error)
        } else {
            quote!(::core::convert::Infallible)
        }
    }

    fn refreshed(&self) -> TokenStream {
        let Self { name, key: Key { ty, make, .. }, .. } = self;
        let get = quote!(let key: #ty = #make; ::clockhand::__private::get(&*#name, &key));
        if self.is_result {
            quote!(#get)
        } else {
            quote!(let result = { #get }; match result {
                ::core::result::Result::Ok(value) => value,
                ::core::result::Result::Err(never) => match never {},
            })
        }
    }
}
