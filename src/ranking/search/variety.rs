//! A list that is varied: copies count once, one company does not fill the first rows, one career not the list.

use rustc_hash::{FxHashMap, FxHashSet};

use super::query::Query;
use super::top_hits::Hit;
use super::{SearchOptions, select};
use crate::ranking::index::segment::Facts;
use crate::ranking::score::RIGHT;

/// Rows of a list that most users look at.
const FIRST_ROWS: usize = 10;
/// Most listings of one company among the first rows.
const MOST_OF_COMPANY: usize = 3;
/// Hits beyond those wanted, for those that are left out.
const SPARE_HITS: usize = 6;
/// The user's first careers, which have places of their own in a full list.
const CAREERS_WITH_PLACES: usize = 5;
/// The places of each: one of so many.
const PLACES: usize = 10;

/// The best hits, at most `limit`, best first.
pub fn varied_list(query: &Query<'_>, limit: usize) -> Vec<Hit> {
    with_places(query, distinct_hits(query, limit), limit)
}

/// Leaves out the listings of a company beyond the third of the first ten.
fn mix_companies(hits: &[Hit], company: impl Fn(&Hit) -> u32) -> Vec<Hit> {
    let mut mixed: Vec<Hit> = Vec::with_capacity(hits.len());
    let mut first_of: FxHashMap<u32, usize> = FxHashMap::default();
    for hit in hits {
        let is_first = mixed.len() < FIRST_ROWS;
        let of_company = first_of.entry(company(hit)).or_default();
        if is_first && company(hit) != 0 && *of_company == MOST_OF_COMPANY {
            continue;
        }
        *of_company += 1;
        mixed.push(*hit);
    }
    mixed
}

/// The best hits of which no two have the same text but for small changes; of one company, at most three are among
/// the first ten, unless fewer than ten others are right.
fn distinct_hits(query: &Query<'_>, limit: usize) -> Vec<Hit> {
    let mut wanted = limit + SPARE_HITS;
    loop {
        let hits = select(query, wanted, SearchOptions::RECOMMEND);
        let is_all = hits.len() < wanted;
        let mut distinct: Vec<Hit> = Vec::with_capacity(hits.len());
        for hit in hits {
            if !is_shown(query, &hit, &distinct) {
                distinct.push(hit);
            }
        }
        let mixed = mix_companies(&distinct, |hit| facts(query, hit).company_key);
        let right = mixed.iter().filter(|hit| hit.score >= RIGHT).count();
        let is_settled = right >= FIRST_ROWS || distinct.last().is_none_or(|hit| hit.score < RIGHT);
        let mut list = if right < FIRST_ROWS { distinct } else { mixed };
        if is_all || is_settled && list.len() >= limit {
            list.truncate(limit);
            return list;
        }
        wanted *= 2;
    }
}

/// In a full list, a tenth is for the best of each of the user's first careers, as far as it is right and not shown
/// for another career. It takes the last rows, never the first ten.
fn with_places(query: &Query<'_>, mut list: Vec<Hit>, limit: usize) -> Vec<Hit> {
    let places = limit / PLACES;
    if list.len() < limit || places == 0 || limit <= FIRST_ROWS {
        return list;
    }
    let last_of_first = list[FIRST_ROWS - 1].score;
    let mut missing: Vec<Hit> = Vec::new();
    let mut kept = FxHashSet::default();
    for career in 0..query.careers.len().min(CAREERS_WITH_PLACES) {
        if list.iter().filter(|hit| hit.career == career).count() >= places {
            // They are its best ones.
            kept.extend(list.iter().filter(|hit| hit.career == career).take(places).map(|hit| hit.id));
            continue;
        }
        for hit in select(query, places, SearchOptions::right_for(career)) {
            kept.insert(hit.id);
            let is_left_out = hit.score >= last_of_first;
            if !is_left_out && !is_shown(query, &hit, &list) && !is_shown(query, &hit, &missing) {
                missing.push(hit);
            }
        }
    }
    let mut place = list.len();
    let mut to_remove = missing.len();
    while to_remove > 0 && place > FIRST_ROWS {
        place -= 1;
        if !kept.contains(&list[place].id) {
            list.remove(place);
            to_remove -= 1;
        }
    }
    missing.truncate(missing.len() - to_remove);
    list.extend(missing);
    list.sort_by(Hit::order);
    list
}

fn facts<'a>(query: &Query<'a>, hit: &Hit) -> &'a Facts {
    &query.segments[hit.segment].live.segment.facts()[usize::from(hit.candidate.listing)]
}

/// Whether the list has this listing or a copy of it.
fn is_shown(query: &Query<'_>, hit: &Hit, list: &[Hit]) -> bool {
    let of_hit = facts(query, hit);
    let is_copy =
        |other: &Facts| of_hit.duplicate_key == other.duplicate_key || of_hit.sketch.is_copy_of(other.sketch);
    list.iter().any(|other| is_copy(facts(query, other)))
}
