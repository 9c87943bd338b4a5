//! A program's sources, parsed: its modules, what each defines, and what it imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proc_macro2::TokenTree;
use quote::ToTokens as _;
use syn::visit::Visit;
use syn::{Item, ItemMod, UseTree, Visibility};

/// A path of segments, as it is written.
pub(crate) type Segments = Vec<String>;

/// One file of a program, or one module that a file holds inside.
#[derive(Default)]
pub(crate) struct Source {
    pub(crate) file: String,
    /// The names that it defines.
    pub(crate) defines: BTreeSet<String>,
    /// What it imports, by the name under which it does.
    pub(crate) imports: BTreeMap<String, Segments>,
    /// All imports but those that are exported again.
    pub(crate) used: Vec<Segments>,
    /// The paths in its code.
    pub(crate) paths: Vec<Segments>,
    public_types: Vec<String>,
    declarations_only: bool,
}

/// The sources of a program by their modules' paths; the root is the empty one.
pub(crate) struct Program {
    pub(crate) modules: BTreeMap<Segments, Source>,
}

impl Program {
    pub(crate) fn read(name: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join(name).join("src");
        let mut files = Vec::new();
        collect(&root, &mut files);
        let mut modules = BTreeMap::new();
        for file in files {
            let relative = file.strip_prefix(&root).expect("it is below").with_extension("");
            let mut path = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect::<Segments>();
            let is_test = path.last().is_some_and(|last| {
                last == "tests" || last.ends_with("_tests") || last.ends_with("_fuzz") || last == "fuzz"
            });
            // A program beside a library has no module of its own.
            if is_test || path.first().is_some_and(|first| first == "bin") {
                continue;
            }
            match path.last().map(String::as_str) {
                Some("mod" | "lib") => {
                    path.pop();
                }
                Some("main") if path.len() == 1 && !root.join("lib.rs").is_file() => {
                    path.pop();
                }
                Some(_) | None => {}
            }
            Source::parse(&file, path, &relative.display().to_string(), &mut modules);
        }
        assert!(!modules.is_empty(), "{name} has no sources");
        Self { modules }
    }

    pub(crate) fn files(&self) -> usize {
        self.modules.len()
    }

    /// The names of public types, each with its file.
    pub(crate) fn public_types(&self) -> Vec<(String, String)> {
        let of = |source: &Source| {
            source.public_types.iter().map(|name| (name.clone(), source.file.clone())).collect::<Vec<_>>()
        };
        self.modules.values().flat_map(of).collect()
    }

    pub(crate) fn folders_below(&self, module: &str) -> BTreeSet<String> {
        let below = |path: &&Segments| path.len() > 2 && path.first().is_some_and(|first| first == module);
        self.modules.keys().filter(below).map(|path| path[1].clone()).collect()
    }

    pub(crate) fn is_declarations_only(&self, module: &str) -> bool {
        let path = module.split("::").map(ToOwned::to_owned).collect::<Segments>();
        self.modules.get(&path).is_some_and(|source| source.declarations_only)
    }
}

fn collect(directory: &Path, into: &mut Vec<PathBuf>) {
    let mut entries = std::fs::read_dir(directory).expect("a directory").flatten().collect::<Vec<_>>();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

impl Source {
    fn parse(path: &Path, module: Segments, file: &str, into: &mut BTreeMap<Segments, Self>) {
        let text = std::fs::read_to_string(path).expect("text");
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::of(&parsed.items, module, file, into);
    }

    /// Takes a module in, and the modules that it holds inside.
    fn of(items: &[Item], module: Segments, file: &str, into: &mut BTreeMap<Segments, Self>) {
        let mut source = Self { file: file.to_owned(), declarations_only: true, ..Self::default() };
        for item in items.iter().filter(|item| !is_test_only(item)) {
            if let Item::Mod(ItemMod { ident, content: Some((_, items)), .. }) = item {
                source.define(item);
                Self::of(items, [module.as_slice(), &[ident.to_string()]].concat(), file, into);
            } else {
                source.take(item);
            }
        }
        into.insert(module, source);
    }

    fn take(&mut self, item: &Item) {
        if let Item::Use(import) = item {
            let mut found = Vec::new();
            flatten(&import.tree, &mut Vec::new(), &mut found);
            for (path, name) in found {
                if matches!(import.vis, Visibility::Inherited) {
                    self.used.push(path.clone());
                }
                self.imports.insert(name, path);
            }
            return;
        }
        if !matches!(item, Item::Mod(_)) {
            self.declarations_only = false;
        }
        self.define(item);
        let mut paths = Paths(&mut self.paths);
        paths.visit_item(item);
    }

    fn define(&mut self, item: &Item) {
        let (name, public_type) = match item {
            Item::Const(item) => (item.ident.to_string(), false),
            Item::Enum(item) => (item.ident.to_string(), is_public(&item.vis)),
            Item::Fn(item) => (item.sig.ident.to_string(), false),
            Item::Mod(item) => (item.ident.to_string(), false),
            Item::Static(item) => (item.ident.to_string(), false),
            Item::Struct(item) => (item.ident.to_string(), is_public(&item.vis)),
            Item::Trait(item) => (item.ident.to_string(), is_public(&item.vis)),
            Item::Type(item) => (item.ident.to_string(), is_public(&item.vis)),
            Item::Union(item) => (item.ident.to_string(), is_public(&item.vis)),
            Item::Macro(item) => {
                // What a macro defines is among the words that it is given.
                let words = words(item.mac.tokens.clone());
                let is_type = |pair: &&[String]| {
                    (pair[0] == "enum" || pair[0] == "struct") && pair[1].starts_with(char::is_uppercase)
                };
                for pair in words.windows(2).filter(is_type) {
                    self.public_types.push(pair[1].clone());
                }
                self.defines.extend(words);
                let Some(ident) = &item.ident else { return };
                (ident.to_string(), false)
            }
            Item::ExternCrate(_)
            | Item::ForeignMod(_)
            | Item::Impl(_)
            | Item::TraitAlias(_)
            | Item::Use(_)
            | Item::Verbatim(_)
            | _ => return,
        };
        if public_type {
            self.public_types.push(name.clone());
        }
        self.defines.insert(name);
    }
}

const fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_test_only(item: &Item) -> bool {
    // Every kind of item begins with its attributes; those of its inner items are seen when they are visited.
    let mut tokens = item.to_token_stream().into_iter().peekable();
    while tokens.next_if(|token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '#')).is_some() {
        let Some(TokenTree::Group(attribute)) = tokens.next() else { return false };
        let words = words(attribute.stream());
        if words.first().is_some_and(|first| first == "cfg") && words.iter().any(|word| word == "test") {
            return true;
        }
    }
    false
}

fn flatten(tree: &UseTree, before: &mut Segments, into: &mut Vec<(Segments, String)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, into);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            let last = before.last().cloned().unwrap_or_default();
            into.push((before.clone(), last));
        }
        UseTree::Name(name) => {
            into.push(([before.as_slice(), &[name.ident.to_string()]].concat(), name.ident.to_string()));
        }
        UseTree::Rename(rename) => {
            into.push(([before.as_slice(), &[rename.ident.to_string()]].concat(), rename.rename.to_string()));
        }
        UseTree::Glob(_) => into.push((before.clone(), format!("* of {}", before.join("::")))),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, into);
            }
        }
    }
}

/// The identifiers among tokens, in order.
fn words(tokens: proc_macro2::TokenStream) -> Vec<String> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => found.push(ident.to_string()),
            TokenTree::Group(group) => found.extend(words(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Gathers the paths of code, those in macros' arguments among them.
struct Paths<'a>(&'a mut Vec<Segments>);

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        paths_among(called.tokens.clone(), self.0);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if !is_test_only(item) {
            syn::visit::visit_item(self, item);
        }
    }
}

/// `a :: b :: c` among tokens.
fn paths_among(tokens: proc_macro2::TokenStream, into: &mut Vec<Segments>) {
    let (mut path, mut colons) = (Segments::new(), 0);
    let mut end = |path: &mut Segments| {
        let whole = std::mem::take(path);
        if whole.len() > 1 {
            into.push(whole);
        }
    };
    let mut groups = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                groups.push(group.stream());
                end(&mut path);
                colons = 0;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                end(&mut path);
                colons = 0;
            }
        }
    }
    end(&mut path);
    for group in groups {
        paths_among(group, into);
    }
}
