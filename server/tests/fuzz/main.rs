//! What fuzzing found to hold of files that nobody wrote still holds: the smoke run of the CSV reader. Those of the engine are in `tests/fuzz.rs`.

mod reader;

#[test]
fn a_file_of_any_bytes_gives_rows_that_come_back_or_faults_with_line_and_column() {
    sesshu_tests::corpus::smoke("reader", 3_000, reader::reader);
}
