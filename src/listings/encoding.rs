//! The encoding of a text file: UTF-8, UTF-16 with a byte order mark, or CP949 (Korean Windows, a superset of
//! EUC-KR), which is what Excel saves.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use encoding_rs::EUC_KR;
use encoding_rs_io::DecodeReaderBytesBuilder;

/// Lines with characters beyond ASCII that [`TextEncoding::detect`] looks at, at most.
const SAMPLE_LINES: usize = 10_000;

/// The encoding of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextEncoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16, with a byte order mark.
    Utf16,
    /// CP949, which includes EUC-KR.
    Cp949,
}

impl fmt::Display for TextEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16 => "UTF-16",
            Self::Cp949 => "CP949",
        })
    }
}

impl TextEncoding {
    /// Detects the encoding from the byte order mark, or else from the lines with characters beyond ASCII: the
    /// file is CP949 if most of them are not UTF-8 but are CP949. A file with a few damaged lines stays UTF-8.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn detect(reader: impl Read) -> io::Result<Self> {
        let mut reader = BufReader::new(reader);
        if matches!(reader.fill_buf()?, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
            return Ok(Self::Utf16);
        }
        let (mut utf8, mut cp949) = (0, 0);
        for line in reader.split(b'\n') {
            let line = line?;
            if line.is_ascii() {
                continue;
            } else if std::str::from_utf8(&line).is_ok() {
                utf8 += 1;
            } else if EUC_KR.decode_without_bom_handling_and_without_replacement(&line).is_some() {
                cp949 += 1;
            }
            if utf8 + cp949 == SAMPLE_LINES {
                break;
            }
        }
        Ok(if cp949 > utf8 { Self::Cp949 } else { Self::Utf8 })
    }

    /// Decodes to UTF-8 without a byte order mark. Bytes of a UTF-8 file pass unchanged, valid or not; elsewhere
    /// U+FFFD stands for a byte sequence that the encoding does not have.
    pub fn decode<'a>(self, reader: impl Read + 'a) -> Box<dyn BufRead + 'a> {
        let mut builder = DecodeReaderBytesBuilder::new();
        match self {
            Self::Utf8 => builder.utf8_passthru(true).strip_bom(true),
            Self::Utf16 => builder.bom_override(true),
            Self::Cp949 => builder.encoding(Some(EUC_KR)),
        };
        Box::new(BufReader::new(builder.build(reader)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "제목,회사\n백엔드 개발자,㈜한빛\n똠방각하,쓩\n";

    fn decoded(bytes: &[u8]) -> (TextEncoding, String) {
        let encoding = TextEncoding::detect(bytes).unwrap();
        (encoding, io::read_to_string(encoding.decode(bytes)).unwrap())
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_that_windows_saves_is_detected_and_decoded() {
        let (cp949, _, _) = EUC_KR.encode(TEXT);
        assert_eq!(decoded(TEXT.as_bytes()), (TextEncoding::Utf8, TEXT.to_owned()));
        assert_eq!(decoded(format!("\u{FEFF}{TEXT}").as_bytes()), (TextEncoding::Utf8, TEXT.to_owned()));
        assert_eq!(decoded(&cp949), (TextEncoding::Cp949, TEXT.to_owned()));
        assert_eq!(decoded(&utf_16(TEXT, u16::to_le_bytes)), (TextEncoding::Utf16, TEXT.to_owned()));
        assert_eq!(decoded(&utf_16(TEXT, u16::to_be_bytes)), (TextEncoding::Utf16, TEXT.to_owned()));
    }

    #[test]
    fn a_damaged_line_does_not_change_the_encoding_of_a_file() {
        let damaged = [TEXT.as_bytes(), b"\xb9\xe9\xbf\xa3\xb5\xe5\n"].concat();
        assert_eq!(TextEncoding::detect(&*damaged).unwrap(), TextEncoding::Utf8);
        let (cp949, _, _) = EUC_KR.encode(TEXT);
        let damaged = [&*cp949, b"\xff\xff\n"].concat();
        assert_eq!(TextEncoding::detect(&*damaged).unwrap(), TextEncoding::Cp949);
        assert_eq!(TextEncoding::detect(&b"ascii\n"[..]).unwrap(), TextEncoding::Utf8);
    }
}
