//! Which of the words on a failed kernel's stack are its callers: [`callers`].
//!
//! The kernel keeps no frame pointers and carries no unwind tables. Its record has the words that may be return
//! addresses, and the ELF has `.debug_frame`, which says for each instruction how far above the stack pointer its
//! function's return address lies. Where the tables don't tell (code in assembly, or a word that was left out), the
//! next word above is taken, and marked as a guess. `symbols` names what is found.

use std::collections::BTreeMap;
use std::path::Path;

use addr2line::gimli::{
    BaseAddresses, CfaRule, DebugFrame, EndianSlice, LittleEndian, UnwindContext, UnwindSection,
    X86_64,
};
use goblin::elf::Elf;

/// A place that the kernel came from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Caller {
    /// The return address.
    pub(crate) address: u64,
    /// The tables didn't tell: it may have been left there by a call that ended.
    pub(crate) guessed: bool,
}

/// The callers of the instruction at `rip`, innermost first. `words` are what may be return addresses, by their bytes
/// above the stack pointer.
pub(crate) fn callers(kernel: &Path, rip: u64, words: &BTreeMap<u64, u64>) -> Vec<Caller> {
    let image = std::fs::read(kernel).unwrap_or_default();
    let tables = Tables::of(&image);
    let (mut callers, mut pc, mut rsp) = (vec![], rip, 0);
    loop {
        let told = tables
            .as_ref()
            .and_then(|tables| tables.caller(pc, rsp, words));
        let Some((&place, &address)) = told.or_else(|| words.range(rsp..).next()) else {
            return callers;
        };
        callers.push(Caller {
            address,
            guessed: told.is_none(),
        });
        // The call, not what follows it: that may be another function.
        (pc, rsp) = (address - 1, place + 8);
    }
}

/// What the ELF knows of its code.
struct Tables<'a> {
    image: &'a [u8],
    elf: Elf<'a>,
    frames: DebugFrame<EndianSlice<'a, LittleEndian>>,
}

impl<'a> Tables<'a> {
    fn of(image: &'a [u8]) -> Option<Self> {
        let elf = Elf::parse(image).ok()?;
        let section = elf
            .section_headers
            .iter()
            .find(|section| elf.shdr_strtab.get_at(section.sh_name) == Some(".debug_frame"))?;
        let bytes = image.get(section.file_range()?)?;
        Some(Self {
            image,
            elf,
            frames: DebugFrame::new(bytes, LittleEndian),
        })
    }

    /// The word that is the return address of the function at `pc`.
    fn caller<'w>(
        &self,
        pc: u64,
        rsp: u64,
        words: &'w BTreeMap<u64, u64>,
    ) -> Option<(&'w u64, &'w u64)> {
        let mut context = UnwindContext::new();
        let bases = BaseAddresses::default();
        let fde = self
            .frames
            .fde_for_address(&bases, pc, DebugFrame::cie_from_offset)
            .ok()?;
        let row = fde
            .unwind_info_for_address(&self.frames, &bases, &mut context, pc)
            .ok()?;
        match row.cfa() {
            CfaRule::RegisterAndOffset { register, offset } if *register == X86_64::RSP => {
                let above = rsp.checked_add_signed(*offset)?;
                words.get_key_value(&above.checked_sub(8)?)
            }
            // The standard library's own functions have frame pointers, and their values aren't among the words.
            _ => words
                .range(rsp..)
                .find(|(_, word)| self.called(**word) == Some(fde.initial_address())),
        }
    }

    /// The function called right before `address`, if the call names it.
    fn called(&self, address: u64) -> Option<u64> {
        let call = address.checked_sub(5)?;
        let segment = self.elf.program_headers.iter().find(|segment| {
            segment
                .vm_range()
                .contains(&usize::try_from(call).unwrap_or(0))
        })?;
        let at = usize::try_from(call - segment.p_vaddr + segment.p_offset).ok()?;
        let [0xE8, displacement @ ..] = self.image.get(at..at + 5)? else {
            return None;
        };
        let displacement = i32::from_le_bytes(displacement.try_into().ok()?);
        address.checked_add_signed(displacement.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tables_every_word_is_a_guess() {
        let words = BTreeMap::from([(8, 0x1000), (40, 0x2000)]);
        let found = callers(Path::new("/nonexistent"), 0x500, &words);
        let guess = |address| Caller {
            address,
            guessed: true,
        };
        assert_eq!(found, [guess(0x1000), guess(0x2000)]);
    }
}
