//! Several pieces in one input: each after its length as two bytes, big-endian. What is cut off is given as far as it goes.

/// Most pieces of one input: enough for any interplay, few enough for one run to stay short.
const PIECES_MAX: usize = 256;

/// The pieces of an input.
pub fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk::<2>() {
        let (piece, after) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        pieces.push(piece);
        data = after;
        if pieces.len() == PIECES_MAX {
            break;
        }
    }
    pieces
}

/// The input that has these pieces.
pub fn join<T: AsRef<[u8]>>(pieces: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut data = Vec::new();
    for piece in pieces {
        let piece = piece.as_ref();
        data.extend(u16::try_from(piece.len()).expect("a piece is shorter than 64 KiB").to_be_bytes());
        data.extend(piece);
    }
    data
}

/// A first byte that chooses among kinds, and the rest.
pub fn choice(data: &[u8], kinds: usize) -> Option<(usize, &[u8])> {
    data.split_first().map(|(&first, rest)| (usize::from(first) % kinds, rest))
}

/// As much of the input as is text.
pub fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// The input that has these texts, parted by the byte 0xff, which no UTF-8 has.
pub fn texts(data: &[u8]) -> Vec<String> {
    data.split(|&byte| byte == 0xff).map(text).collect()
}
