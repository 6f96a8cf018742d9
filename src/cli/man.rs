//! `rackfish man`: one page for the program and all its subcommands.

use std::io::Write;

use super::{CliError, out::Out};

pub(super) fn run() -> Result<(), CliError> {
    Ok(Out::stdout(false).raw(&page()?)?)
}

/// The page in roff. Subcommands follow as sections of their own, so that one file is enough.
fn page() -> std::io::Result<Vec<u8>> {
    let mut command = super::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    describe(&command, "rackfish", &mut page)?;
    Ok(page)
}

fn describe(command: &clap::Command, path: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        if sub.has_subcommands() {
            describe(sub, &path, page)?;
            continue;
        }
        writeln!(page, ".SH {}", path.to_uppercase())?;
        let man = clap_mangen::Man::new(sub.clone());
        man.render_description_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_options_section(page)?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    #[test]
    fn the_page_names_every_subcommand_and_the_exit_codes() {
        let page = String::from_utf8(super::page().unwrap()).unwrap();
        for part in ["RACKFISH NODE ON", "RACKFISH ACCOUNT PASSWD", "RACKFISH CHECK", "outcome unknown"] {
            assert!(page.contains(part), "{part}");
        }
    }
}
