//! Objects as Go's `encoding/json` reads them into a struct: names match in any case, unknown names are skipped, `null`
//! changes nothing, and of two values for one name the later counts.

/// Implements `Deserialize` for a struct that is `Default`: for each field the name of its value, in lower case.
macro_rules! go_object {
    ($object:ident { $($field:ident: $name:literal),* $(,)? }) => {
        impl<'de> serde::Deserialize<'de> for $object {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $object;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_unit<E>(self) -> Result<$object, E> {
                        Ok($object::default())
                    }

                    #[allow(unused_mut, reason = "an object without fields changes nothing")]
                    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<$object, A::Error> {
                        let mut object = $object::default();
                        while let Some(name) = map.next_key::<String>()? {
                            match name.to_lowercase().as_str() {
                                $($name => if let Some(value) = map.next_value::<Option<_>>()? {
                                    object.$field = value;
                                },)*
                                _ => { map.next_value::<serde::de::IgnoredAny>()?; }
                            }
                        }
                        Ok(object)
                    }
                }

                deserializer.deserialize_any(Fields)
            }
        }
    };
}

pub(super) use go_object;
