//! The function: its arguments, its result, and why it cannot be memoized.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::{
    Error, FnArg, Generics, Ident, ItemFn, Pat, Result, ReturnType, Signature, Type, TypeImplTrait,
    TypeReference,
};

/// Parts of a key at most: those of `KeyRef`.
const MOST: usize = 12;

/// An argument.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// What it is, or what it refers to.
    ty: Type,
    is_reference: bool,
}

/// A function that can be memoized.
pub(crate) struct Function {
    pub(crate) item: ItemFn,
    pub(crate) arguments: Vec<Argument>,
    /// What it returns.
    pub(crate) output: TokenStream,
    /// Whether that is called `Result`.
    pub(crate) is_result: bool,
}

impl Function {
    /// A key is made of its arguments, unless it has `own_key`.
    pub(crate) fn new(item: ItemFn, own_key: bool) -> Result<Self> {
        let signature = &item.sig;
        refuse_kinds(signature)?;
        refuse_generics(&signature.generics)?;
        let inputs = signature.inputs.iter().filter(|_| !own_key);
        let arguments = inputs.map(argument).collect::<Result<Vec<_>>>()?;
        if arguments.len() > MOST {
            let message =
                format!("a memoized function has {MOST} arguments at most: put some into a struct");
            return Err(Error::new(signature.inputs.span(), message));
        }
        let (output, is_result) = match &signature.output {
            ReturnType::Default => (quote!(()), false),
            ReturnType::Type(_, ty) => {
                refuse_borrowed(ty)?;
                (ty.to_token_stream(), is_result(ty))
            }
        };
        Ok(Self { arguments, output, is_result, item })
    }
}

impl Argument {
    /// Its type in a key.
    pub(crate) fn key_type(&self) -> TokenStream {
        let ty = &self.ty;
        if self.is_reference { quote!(<#ty as ::std::borrow::ToOwned>::Owned) } else { quote!(#ty) }
    }

    /// Makes its part of a key.
    pub(crate) fn to_key(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        if self.is_reference {
            quote!(<#ty as ::std::borrow::ToOwned>::to_owned(#name))
        } else {
            quote!(<#ty as ::std::clone::Clone>::clone(&#name))
        }
    }

    /// A reference to it, by which its part of a key is found.
    pub(crate) fn to_ref(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        if self.is_reference { quote!(&*#name) } else { quote!({ let part: &#ty = &#name; part }) }
    }

    /// It, of its part of a key.
    pub(crate) fn of_key(&self, part: &TokenStream) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        if self.is_reference {
            quote!(let #name: &#ty = ::std::borrow::Borrow::borrow(#part);)
        } else {
            quote!(let #name: #ty = ::std::clone::Clone::clone(#part);)
        }
    }
}

fn refuse_kinds(signature: &Signature) -> Result<()> {
    if let Some(receiver) = signature.receiver() {
        let message = "a method cannot be memoized, as its results depend on `self`: make a function of it, with \
                       all that the result depends on as arguments, and call that";
        return Err(Error::new(receiver.span(), message));
    }
    let refuse = |span: proc_macro2::Span, what: &str| {
        Err(Error::new(span, format!("{what} cannot be memoized: wrap it in a function that can")))
    };
    if let Some(it) = &signature.constness {
        return refuse(it.span(), "a `const fn`");
    }
    if let Some(it) = &signature.abi {
        return refuse(it.span(), "an `extern` function");
    }
    if let Some(it) = &signature.variadic {
        return refuse(it.span(), "a variadic function");
    }
    if matches!(signature.safety, syn::Safety::Unsafe(_)) {
        return refuse(signature.fn_token.span(), "an `unsafe fn`");
    }
    Ok(())
}

fn refuse_generics(generics: &Generics) -> Result<()> {
    let types = generics.type_params().map(Spanned::span);
    let mut others = types.chain(generics.const_params().map(Spanned::span));
    match others.next() {
        Some(span) => {
            let message = "a function with parameters for types or constants cannot be memoized, as its cache \
                           holds results of one type: write a memoized function for each type";
            Err(Error::new(span, message))
        }
        None => Ok(()),
    }
}

fn argument(argument: &FnArg) -> Result<Argument> {
    let FnArg::Typed(typed) = argument else {
        return Err(Error::new(argument.span(), "a method cannot be memoized"));
    };
    let Pat::Ident(name) = &*typed.pat else {
        let message = "name the argument, and take it apart in the function: a key is made of it";
        return Err(Error::new(typed.pat.span(), message));
    };
    if let Some(by_ref) = &name.by_ref {
        return Err(Error::new(by_ref.span(), "take the argument by value or by a type `&T`"));
    }
    let (ty, is_reference) = match &*typed.ty {
        Type::Reference(TypeReference { mutability: Some(it), .. }) => {
            let message =
                "a memoized function cannot change what it is given, as it is not always called";
            return Err(Error::new(it.span(), message));
        }
        Type::Reference(reference) => (&*reference.elem, true),
        other => (other, false),
    };
    if let Some(span) = borrows(ty) {
        let message = "an argument may be a reference, but cannot have one in it, as the cache keeps its key: take \
                       something owned, or give `key` and `convert`";
        return Err(Error::new(span, message));
    }
    Ok(Argument { name: name.ident.clone(), ty: ty.clone(), is_reference })
}

/// Where a type has a reference or an unnamed type in it.
fn borrows(ty: &Type) -> Option<proc_macro2::Span> {
    struct Search(Option<proc_macro2::Span>);
    impl Visit<'_> for Search {
        fn visit_type_reference(&mut self, it: &TypeReference) {
            if it.lifetime.as_ref().is_none_or(|lifetime| lifetime.ident != "static") {
                self.0.get_or_insert(it.span());
            }
        }
        fn visit_type_impl_trait(&mut self, it: &TypeImplTrait) {
            self.0.get_or_insert(it.span());
        }
    }
    let mut search = Search(None);
    search.visit_type(ty);
    search.0
}

fn refuse_borrowed(ty: &Type) -> Result<()> {
    match borrows(ty) {
        Some(span) => {
            let message = "what is returned is kept in the cache, and cannot be borrowed from the arguments, nor be of \
                           an unnamed type: return something owned";
            Err(Error::new(span, message))
        }
        None => Ok(()),
    }
}

/// Whether a type is called `Result`.
fn is_result(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result"))
}
