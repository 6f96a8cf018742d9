//! What all conversations with a BMC share: there is one unit, `host`, and what is read or done is its.

use crate::model::{Act, Aspect, Cursor, Done, Fact, Fault, Page, Unit};

/// A page of what is read of the host: the fact once it is whole, and where to go on.
pub(super) type Part = (Option<Fact>, Option<Cursor>);

/// One BMC, by its own protocol.
pub(super) trait Bmc {
    /// Reads a page of an aspect.
    async fn read(&mut self, aspect: &Aspect, at: Option<Cursor>) -> Result<Part, Fault>;

    /// Carries out one act.
    async fn carry_out(&mut self, act: &Act) -> Result<Done, Fault>;

    /// Whether a fault of a read ends the exchange. Otherwise the BMC is well: it just doesn't tell, or not now.
    fn ends_the_read(fault: &Fault) -> bool {
        fault.blames_endpoint()
    }
}

/// [`super::Driver::observe`] of a BMC.
pub(super) async fn observe<B: Bmc>(
    bmc: &mut B,
    aspect: &Aspect,
    units: &[Unit],
    at: Option<Cursor>,
) -> Result<Page, Fault> {
    let mut page = Page { items: Vec::new(), next: None };
    for unit in units.iter().filter(|unit| unit.as_str() != Unit::HOST) {
        page.items.push((unit.clone(), Err(no_such_unit(unit))));
    }
    if units.is_empty() || page.items.len() < units.len() {
        match bmc.read(aspect, at).await {
            Ok((fact, next)) => {
                page.items.extend(fact.map(|fact| (Unit::host(), Ok(fact))));
                page.next = next;
            }
            Err(fault) if B::ends_the_read(&fault) => return Err(fault),
            Err(fault) => page.items.push((Unit::host(), Err(fault))),
        }
    }
    Ok(page)
}

/// [`super::Driver::act`] of a BMC.
pub(super) async fn act<B: Bmc>(bmc: &mut B, acts: &[(Unit, Act)]) -> Vec<Result<Done, Fault>> {
    let mut results = Vec::with_capacity(acts.len());
    for (unit, act) in acts {
        results.push(if unit.as_str() == Unit::HOST { bmc.carry_out(act).await } else { Err(no_such_unit(unit)) });
    }
    results
}

/// What no BMC has.
pub(super) fn not_read(what: &str) -> Fault {
    Fault::Unsupported(format!("raw read {what:?} of a BMC"))
}

/// What no BMC does.
pub(super) fn not_done(act: &Act) -> Fault {
    Fault::Unsupported(format!("{:?} of a BMC", act.kind()))
}

fn no_such_unit(unit: &Unit) -> Fault {
    Fault::NoSuchUnit(format!("{unit}: a BMC has one unit, `{}`", Unit::HOST))
}
