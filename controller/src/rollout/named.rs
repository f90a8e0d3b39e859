//! Field-less enums with one stable kebab-case name per value, used in stored events, logs and JSON.

/// Makes such an enum with `ALL`, `as_str`, `parse` and `Display`.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The stable name.
            #[must_use]
            pub fn as_str(self) -> &'static str { match self { $(Self::$variant => $text),+ } }
            /// Reads the stable name.
            pub fn parse(text: &str) -> Result<Self, patchwave_common::domain::ParseError> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(patchwave_common::domain::ParseError::new($what, text, "one of the names that this release knows")),
                }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { formatter.pad(self.as_str()) }
        }
    };
}
pub(crate) use named;
