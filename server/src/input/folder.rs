//! Which files of a folder are registers.
//!
//! Only the name tells: `register-*.csv`, as `register-131016.csv`. What is in them is found out when they are opened, so that one bad file is told by its
//! name and stops no listing.

use std::path::{Path, PathBuf};

use super::error::InputError;

const NAME_BEGINS: &str = "register-";
const NAME_ENDS: &str = ".csv";

/// The files `register-*.csv` of a folder, in the order of their names.
///
/// # Errors
///
/// [`InputError::List`] if the folder cannot be read, [`InputError::NoRegisters`] if it has none.
pub fn find_registers(folder: &Path) -> Result<Vec<PathBuf>, InputError> {
    let failed = |source| InputError::List { path: folder.to_owned(), source };
    let mut registers = Vec::new();
    for entry in folder.read_dir().map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_register_name(&path) && !path.is_dir() {
            registers.push(path);
        }
    }
    if registers.is_empty() {
        return Err(InputError::NoRegisters { path: folder.to_owned() });
    }
    registers.sort();
    Ok(registers)
}

fn is_register_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(NAME_BEGINS) && name.ends_with(NAME_ENDS))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn registers_are_listed_in_name_order_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in
            ["register-141003.csv", "register-011002.csv", "shots.csv", "register-x.csv.bak", "._register-1.csv"]
        {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("register-old.csv")).unwrap();
        let found = find_registers(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["register-011002.csv", "register-141003.csv"]);
    }

    #[test]
    fn a_folder_without_registers_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = find_registers(folder.path()).unwrap_err();
        assert!(error.to_string().contains("holds no register-*.csv"), "{error}");
        assert!(matches!(find_registers(&folder.path().join("none")), Err(InputError::List { .. })));
    }
}
