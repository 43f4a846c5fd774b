//! Korean words: their syllables, their endings and the particles after them.

use super::token::Token;

/// Whether a character is a precomposed Hangul syllable.
pub fn is_hangul(c: char) -> bool {
    ('\u{ac00}'..='\u{d7a3}').contains(&c)
}

/// The tokens of a run of Hangul: its pairs of syllables, or its only syllable.
pub fn hangul_tokens(run: &str) -> impl Iterator<Item = Token> + '_ {
    let lone = (run.chars().nth(1).is_none()).then(|| run.chars().next().map(Token::syllable)).flatten();
    run.chars().zip(run.chars().skip(1)).map(|(a, b)| Token::pair(a, b)).chain(lone)
}

/// Whether a Hangul word ends like the name of a profession (`간호사`, `개발자`).
pub fn names_a_person(word: &str) -> bool {
    matches!(word.chars().next_back(), Some('원' | '사' | '공' | '자' | '가' | '수'))
}

/// Whether a Hangul word names a company and ends like a profession: `제약사` is no `약사`.
pub fn names_a_company(word: &str) -> bool {
    word.ends_with("제약사")
}

/// The endings of a word in a title: as written, and without a particle (`변호사를`). A company is no profession.
pub fn title_endings(run: &str) -> impl Iterator<Item = Token> {
    let (own, bare) = (Some(run), without_particle(run));
    let words = [own, bare].into_iter().flatten().filter(|word| !names_a_company(word));
    words.filter_map(ending)
}

/// The endings of a word in a text, as in a title; but only words that look like a profession are kept, since
/// texts are long.
pub fn text_endings(run: &str) -> impl Iterator<Item = Token> {
    // At the end of a word in a sentence, 가 is nearly always a particle.
    let is_person = |word: &&str| names_a_person(word) && !names_a_company(word);
    let own = Some(run).filter(|run| is_person(run) && !run.ends_with('가'));
    let bare = without_particle(run).filter(is_person);
    [own.and_then(ending), bare.and_then(ending)].into_iter().flatten()
}

/// The word without the particle or noun at its end; `None` when it has neither.
fn without_particle(run: &str) -> Option<&str> {
    let tail = match run.chars().next_back()? {
        '은' | '는' | '이' | '가' | '을' | '를' | '의' | '와' | '과' | '도' | '만' | '에' | '들' | '님'
        | '직' | '급' => "",
        '로' if run.ends_with("으로") => "으로",
        '로' => "",
        '게' => "에게",
        '나' => "이나",
        '며' => "이며",
        '서' => "로서",
        '집' => "모집",
        '용' => "채용",
        '인' => "구인",
        '력' => "경력",
        '입' => "신입",
        _ => return None,
    };
    let bare = if tail.is_empty() { &run[..run.len() - '가'.len_utf8()] } else { run.strip_suffix(tail)? };
    Some(bare.trim_end_matches(['들', '님']))
}

/// The ending of a Hangul word of at least two syllables.
pub fn ending(word: &str) -> Option<Token> {
    let mut syllables = word.chars().rev();
    let (second, first) = (syllables.next()?, syllables.next()?);
    Some(Token::ending(first, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_company_does_not_end_like_a_profession() {
        assert_eq!(title_endings("제약사").count() + text_endings("제약사의").count(), 0);
        assert_eq!(title_endings("병원약사").collect::<Vec<_>>(), [Token::ending('약', '사')]);
    }

    #[test]
    fn hangul_becomes_syllable_pairs() {
        let tokens: Vec<_> = hangul_tokens("백엔드").collect();
        assert_eq!(tokens, [Token::pair('백', '엔'), Token::pair('엔', '드')]);
        assert_eq!(hangul_tokens("웹").collect::<Vec<_>>(), [Token::syllable('웹')]);
    }
}
