//! How long does it take to find a person without their ticket? One question at a time, of random residents of the whole nation, warm, one thread: by My Number
//! and by kana and birth date over all ledgers, also among those without a ticket, by name over all ledgers, by resident number and by the beginning of the kana in one.
//!
//! The question by My Number is asked without its entry of the access log, whose sync is the disk's (bench `record`), and with the keys opened once.

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use sesshu_benches::{Alternative, Nation, RESIDENTS, SEED, alternate_few, sizes, unchecked_row};
use sesshu_engine::Within;
use sesshu_engine::ticket::{Municipality, MyNumber};
use sesshu_proto::v1::Resident;

/// Residents who are asked for: some of each municipality.
const ASKED_MAX: usize = 20_000;

fn finding(criterion: &mut Criterion) {
    let residents = *RESIDENTS;
    let nation = Nation::settle(Path::new(env!("CARGO_TARGET_TMPDIR")), residents);
    let asked = asked(residents);
    let keys = nation.store.open_data_keys().expect("the key is there");
    let all = Within { municipality: None, limit: 100 };
    let view = nation.store.view();
    let at = |index: usize| &asked[index * 7919 % asked.len()];
    let by_my_number = |index: usize| {
        let (_, my_number, _) = at(index);
        let found = nation.store.with_my_number_unlogged(&view, &keys, *my_number).expect("nothing is damaged");
        assert!(!black_box(found).people.is_empty());
    };
    let by_kana = |index: usize| {
        let (_, _, resident) = at(index);
        let found = view.with_kana_and_birth_date(all, &resident.name_kana, resident.birth_date);
        assert!(!black_box(found.expect("nothing is damaged")).people.is_empty());
    };
    // Nobody is: it is what a look by kana and birth date asks beside that.
    let without_ticket = |index: usize| {
        let (_, _, resident) = at(index);
        let found = view.without_ticket(all, &resident.name_kana, resident.birth_date);
        assert!(black_box(found.expect("nothing is damaged")).people.is_empty());
    };
    let by_name = |index: usize| {
        let (_, _, resident) = at(index);
        let found = view.with_name(all, &resident.name, Some(resident.birth_date)).expect("nothing is damaged");
        assert!(!black_box(found).people.is_empty());
    };
    let by_resident_number = |index: usize| {
        let (municipality, _, resident) = at(index);
        let found = view.with_resident_number(*municipality, &resident.resident_number).expect("nothing is damaged");
        black_box(found.len());
    };
    let by_beginning = |index: usize| {
        let (municipality, _, resident) = at(index);
        let beginning: String = resident.name_kana.chars().take(4).collect();
        let found = view.with_kana_beginning(*municipality, &beginning, 20).expect("nothing is damaged");
        black_box(found.people.len());
    };
    let questions: [(&str, &dyn Fn(usize)); 6] = [
        ("my-number/ledgers=1741", &by_my_number),
        ("kana-and-birth-date/ledgers=1741", &by_kana),
        ("without-ticket/ledgers=1741", &without_ticket),
        ("name-and-birth-date/ledgers=1741", &by_name),
        ("resident-number/ledgers=1", &by_resident_number),
        ("kana-beginning/ledgers=1/limit=20", &by_beginning),
    ];
    let mut group = criterion.benchmark_group("find");
    for (name, ask) in questions {
        group.bench_function(format!("{name}/residents={residents}"), |bencher| {
            let mut index = 0;
            bencher.iter(|| {
                index += 1;
                ask(index);
            });
        });
    }
    group.finish();
    println!("one by one, in turn:");
    let alternatives = questions.map(|(name, ask)| -> Alternative<'_> { (format!("find/{name}"), Box::new(ask)) });
    alternate_few(20_000, 1000, &mut Vec::from(alternatives));
}

/// Residents with a My Number, where they live, and their rows.
fn asked(residents: u64) -> Vec<(Municipality, MyNumber, Resident)> {
    let sizes = sizes(residents);
    let each = ASKED_MAX.div_ceil(sizes.len());
    let rows = sizes.iter().flat_map(|&(municipality, count)| {
        let rows = sesshu::generate::residents(SEED, municipality, count).enumerate().take(each);
        rows.map(move |(line, resident)| (municipality, unchecked_row(&resident, line as u64 + 2)))
    });
    rows.filter_map(|(municipality, (_, my_number, row, _))| Some((municipality, my_number?, row))).collect()
}

criterion_group!(benches, finding);
criterion_main!(benches);
