//! Korean particles, chosen by the sound with which the word before them ends.

use crate::ranking::text::hangul::is_hangul;

/// `word` with 이 or 가.
pub fn with_subject(word: &str) -> String {
    format!("{word}{}", if ends_in_consonant(word) { "이" } else { "가" })
}

/// `word` in quotation marks, with 은 or 는.
pub fn quoted_topic(word: &str) -> String {
    format!("'{word}'{}", if ends_in_consonant(word) { "은" } else { "는" })
}

/// `word` in quotation marks, with 이 or 가.
pub fn quoted_subject(word: &str) -> String {
    format!("'{word}'{}", if ends_in_consonant(word) { "이" } else { "가" })
}

/// `word` in quotation marks, with 과 or 와.
pub fn quoted_and(word: &str) -> String {
    format!("'{word}'{}", if ends_in_consonant(word) { "과" } else { "와" })
}

/// Whether the word's last syllable ends in a consonant (받침).
pub fn ends_in_consonant(word: &str) -> bool {
    let spoken = word.trim_end_matches(|c: char| !c.is_alphanumeric() && c != '#');
    let Some(last) = spoken.chars().next_back() else { return false };
    match last {
        _ if is_hangul(last) => !(u32::from(last) - 0xac00).is_multiple_of(28),
        // 샵
        '#' => true,
        // 영, 일, 삼, 육, 칠, 팔
        '0' | '1' | '3' | '6' | '7' | '8' => true,
        _ if last.is_ascii_alphabetic() => latin_ends_in_consonant(spoken),
        _ => false,
    }
}

/// Whether a Latin word ends in a consonant as Korean speakers say it: letter by letter if it is in capitals (엘, 엠, 엔, 알 end in a
/// consonant), otherwise by its usual transcription (Spring 스프링, Oracle 오라클, Git 깃, but Swift 스위프트).
fn latin_ends_in_consonant(word: &str) -> bool {
    let letters: Vec<char> = word.chars().rev().take_while(char::is_ascii_alphabetic).collect();
    if letters.iter().all(char::is_ascii_uppercase) {
        return matches!(letters[0], 'L' | 'M' | 'N' | 'R');
    }
    let lower: Vec<char> = letters.iter().map(char::to_ascii_lowercase).collect();
    let is_vowel = |c: &char| matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y');
    match lower.as_slice() {
        ['l' | 'm' | 'n', ..] | ['g', 'n', ..] => true,
        ['e', 'l' | 'm' | 'n', ..] => true,
        // A long vowel takes the consonant into a syllable of its own: 부트, not 붙.
        ['t', second, first, ..] if is_vowel(second) && is_vowel(first) => false,
        ['k', 'c', vowel, ..] | ['p' | 't' | 'k' | 'b', vowel, ..] => is_vowel(vowel),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particles_follow_the_sound() {
        for word in
            ["백엔드 개발", "Spring", "Kotlin", "MySQL", "Oracle", "Git", "HTML", "C#", "Photoshop", "Web3"]
        {
            assert_eq!(with_subject(word), format!("{word}이"));
            assert_eq!(quoted_and(word), format!("'{word}'과"));
        }
        for word in [
            "개발자",
            "Java",
            "Docker",
            "AWS",
            "Swift",
            "C++",
            "Node.js",
            "HTML5",
            "React",
            "Spring Boot",
            "기획자(PO)",
        ] {
            assert_eq!(with_subject(word), format!("{word}가"));
            assert_eq!(quoted_and(word), format!("'{word}'와"));
        }
        assert_eq!(quoted_topic("서버 개발자"), "'서버 개발자'는");
        assert_eq!(quoted_subject("데이터"), "'데이터'가");
    }
}
