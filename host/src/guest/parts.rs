//! What a component may be made of.
//!
//! Fuel meters a guest's own instructions, and [`super::wasi`] counts its calls of host functions. Two things that the runtime
//! does for a component are measured by neither, and have no bound but the memory of the kind: to copy a text from one nested
//! component into another (any number of bytes, for the fuel of some instructions), and to keep the handles of a resource type
//! that the component defines itself. Neither is needed, so components that could do either are refused.
//!
//! What may remain is one component with code in it, instantiated once, and stubs: components with no instruction but
//! `unreachable`, and no memory. A script's component has one stub, in the place of the loader of its build.
//!
//! The bytes must be valid to wasmtime. Bytes that cannot be parsed pass here; the compiler rejects them.

use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentType, ComponentTypeRef, FunctionBody, Operator, Parser, Payload,
};

/// What a component could do that nothing measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Uncharged {
    #[error("it defines a resource type of its own, and nothing charges for its handles")]
    Resource,
    #[error("it has a canonical built-in other than lift, lower and resource.drop, and nothing charges for that")]
    BuiltIn,
    #[error(
        "{0} components with code or memory are nested in it, and nothing charges for texts copied between them; at most 1"
    )]
    Nested(u32),
    #[error("it hands a component or a core module on, so how many of them are nested in it cannot be counted")]
    HandsOn,
}

/// One component or core module, while it is read.
#[derive(Default)]
struct Part {
    is_module: bool,
    /// Whether there is code that does anything, or memory that could contain a text; of a component: in one of its own
    /// modules.
    has_code: bool,
    /// The [`Part::instances`] of each component that is defined in this one.
    components: Vec<u32>,
    /// The sum of [`Part::instances`] over the components that this one instantiates.
    nested: u32,
}

/// Reads the component once, without recursion.
pub fn check(wasm: &[u8]) -> Result<(), Uncharged> {
    let mut parts: Vec<Part> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { return Ok(()) };
        if let Payload::Version { encoding, .. } = payload {
            parts.push(Part { is_module: encoding == wasmparser::Encoding::Module, ..Part::default() });
            continue;
        }
        let Some(part) = parts.last_mut() else { return Ok(()) };
        if !matches!(payload, Payload::End(_)) {
            part.read(payload)?;
            continue;
        }
        let Some(done) = parts.pop() else { return Ok(()) };
        match parts.last_mut() {
            Some(outer) if done.is_module => outer.has_code |= done.has_code,
            Some(outer) => outer.components.push(done.instances()),
            None if done.instances() > 1 => return Err(Uncharged::Nested(done.instances())),
            None => {}
        }
    }
    Ok(())
}

impl Part {
    /// The number of instances with code that one instance of this component adds: itself, if it has code, and those that it
    /// makes.
    fn instances(&self) -> u32 {
        self.nested.saturating_add(u32::from(self.has_code))
    }

    fn read(&mut self, payload: Payload<'_>) -> Result<(), Uncharged> {
        match payload {
            Payload::CodeSectionEntry(body) => self.has_code |= !is_stub(&body),
            Payload::MemorySection(section) => {
                self.has_code |= section.into_iter().flatten().any(|memory| memory.initial > 0);
            }
            Payload::ComponentTypeSection(section) => {
                let mut types = section.into_iter().flatten();
                if types.any(|it| matches!(it, ComponentType::Resource { .. })) {
                    return Err(Uncharged::Resource);
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                use CanonicalFunction::{Lift, Lower, ResourceDrop};
                let mut functions = section.into_iter().flatten();
                if functions.any(|it| !matches!(it, Lift { .. } | Lower { .. } | ResourceDrop { .. })) {
                    return Err(Uncharged::BuiltIn);
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.into_iter().flatten() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance {
                        // Indices are those of the definitions here, since nothing else brings a component in.
                        let of = self.components.get(component_index as usize).ok_or(Uncharged::HandsOn)?;
                        self.nested = self.nested.saturating_add(*of);
                    }
                }
            }
            Payload::ComponentAliasSection(section) => {
                let hands_on = |alias| match alias {
                    ComponentAlias::InstanceExport { kind, .. } => is_code(kind),
                    ComponentAlias::Outer { kind, .. } => {
                        matches!(kind, ComponentOuterAliasKind::CoreModule | ComponentOuterAliasKind::Component)
                    }
                    ComponentAlias::CoreInstanceExport { .. } => false,
                };
                refuse(section.into_iter().flatten().any(hands_on))?;
            }
            Payload::ComponentImportSection(section) => {
                let of = |ty| matches!(ty, ComponentTypeRef::Module(_) | ComponentTypeRef::Component(_));
                refuse(section.into_iter().flatten().any(|import| of(import.ty)))?;
            }
            Payload::ComponentExportSection(section) => {
                refuse(section.into_iter().flatten().any(|export| is_code(export.kind)))?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn refuse(hands_on: bool) -> Result<(), Uncharged> {
    if hands_on { Err(Uncharged::HandsOn) } else { Ok(()) }
}

fn is_code(kind: ComponentExternalKind) -> bool {
    matches!(kind, ComponentExternalKind::Module | ComponentExternalKind::Component)
}

fn is_stub(body: &FunctionBody<'_>) -> bool {
    let Ok(operators) = body.get_operators_reader() else { return false };
    operators.into_iter().all(|it| matches!(it, Ok(Operator::Unreachable | Operator::End)))
}
