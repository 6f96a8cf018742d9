//! Boot options: parameter 5, guarded by set-in-progress (IPMI 2.0, 28.12 to 28.14).

use super::{driver::IpmiDriver, faults::Failure};
use crate::{
    model::{ActKind, AspectKind, BootSet, Done, Fault},
    wire::ipmi::command::{BOOT_FLAGS, BootFlags, GetBootOptions, SetBootOptions},
};

/// Boot options may be sent twice: the second time changes nothing.
const ATTEMPTS: u8 = 2;

impl IpmiDriver {
    pub(super) async fn read_boot(&mut self) -> Result<Option<BootSet>, Fault> {
        let session = self.session().await?;
        match session.run(GetBootOptions { parameter: BOOT_FLAGS }).await {
            Ok(flags) => Ok(flags.in_force()),
            Err(failure) => {
                self.lacks_aspect(AspectKind::Boot, &failure);
                Err(failure.into_fault())
            }
        }
    }

    pub(super) async fn set_boot(&mut self, set: &BootSet) -> Result<Done, Fault> {
        let flags = BootFlags::of(set)
            .ok_or_else(|| Fault::Unsupported(format!("IPMI boot options have no word for {}", set.target)))?;
        self.prepare_act().await?;
        let session = self.session().await?;
        // Only parameter 5 has to succeed. Many BMCs have no set-in-progress, and it is refused with 0x81 while
        // somebody else's transaction is open, which BMCs then forget to end.
        let guarded = optional(session.run_at(0, SetBootOptions::progress(1), ATTEMPTS).await)?;
        optional(session.run_at(0, SetBootOptions::keep_beyond_a_minute(), ATTEMPTS).await)?;
        optional(session.run_at(0, SetBootOptions::not_yet_handled(), ATTEMPTS).await)?;
        let result = session.run_at(0, SetBootOptions::flags(flags), ATTEMPTS).await;
        if guarded {
            optional(session.run_at(0, SetBootOptions::progress(0), ATTEMPTS).await)?;
        }
        match result {
            Ok(()) => Ok(Done::Completed),
            Err(failure) => {
                self.lacks_act(ActKind::Boot, &failure);
                Err(failure.into_act_fault())
            }
        }
    }
}

/// Whether the BMC took an optional step; an error only if it did not answer.
fn optional(result: Result<(), Failure>) -> Result<bool, Fault> {
    match result {
        Ok(()) => Ok(true),
        Err(failure) if failure.is_answer() => Ok(false),
        Err(failure) => Err(failure.into_act_fault()),
    }
}
