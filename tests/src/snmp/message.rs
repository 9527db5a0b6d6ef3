//! The packets of versions 1 and 2c and what is inside those of version 3, as far as a simulated device needs them (RFC 1157, RFC 3416).

/// What a device says of a name that it does not have.
pub const NO_SUCH: &[u8] = &[0x81, 0];
/// What a device says of a name after which nothing comes.
pub const END: &[u8] = &[0x82, 0];

/// Which question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The names themselves.
    Get,
    /// The next of each.
    GetNext,
    /// Several next of each.
    GetBulk,
}

/// A question as it came.
#[derive(Debug)]
pub struct Asked {
    /// 0 for version 1, 1 for 2c, 3 for 3.
    pub version: i64,
    /// The word in clear; in version 3 the name of the context.
    pub community: Vec<u8>,
    /// Which question.
    pub kind: Kind,
    id: i64,
    second: i64,
    /// About which names.
    pub names: Vec<Vec<u32>>,
}

/// The rows of an answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    names: Vec<Vec<u32>>,
    /// Each row as it goes out.
    rows: Vec<Vec<u8>>,
    rounds: u32,
}

impl Reply {
    /// Adds a row; `value` with its tag and length.
    pub fn push(&mut self, name: Vec<u32>, value: &[u8]) {
        let row = [oid(&name), value.to_vec()].concat();
        self.rows.push(wrap(0x30, &row));
        self.names.push(name);
    }

    /// All names have been gone through once more.
    pub const fn handle_round(&mut self) {
        self.rounds += 1;
    }

    /// How often all names have been gone through.
    #[must_use]
    pub const fn rounds(&self) -> u32 {
        self.rounds
    }

    /// The name that was last given for the question's name at `place` of `width`.
    #[must_use]
    pub fn last(&self, place: usize, width: usize) -> Vec<u32> {
        self.names[(self.rounds as usize - 1) * width + place].clone()
    }

    /// How many rows it has.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How large it is, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }

    /// The same without the row that was too much; a single one is sent however large it is.
    #[must_use]
    pub fn without_last(mut self) -> Self {
        if self.rows.len() > 1 {
            self.rows.pop();
        }
        self
    }
}

impl Asked {
    /// Reads a packet; nothing if it is no question of these versions.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (_, message, _) = take(packet)?;
        let (_, version, rest) = take(message)?;
        let (_, community, rest) = take(rest)?;
        let version = number(version);
        if version <= 1 { Self::of_question(version, community, rest) } else { None }
    }

    /// Reads the question inside a packet; that of version 3 is answered without what is around it.
    #[must_use]
    pub fn of_question(version: i64, community: &[u8], question: &[u8]) -> Option<Self> {
        let (tag, question, _) = take(question)?;
        let kind = match tag {
            0xa0 => Kind::Get,
            0xa1 => Kind::GetNext,
            0xa5 => Kind::GetBulk,
            _ => return None,
        };
        let (_, id, rest) = take(question)?;
        let (_, _, rest) = take(rest)?;
        let (_, second, rest) = take(rest)?;
        let (_, mut list, _) = take(rest)?;
        let mut names = Vec::new();
        while let Some((_, row, rest)) = take(list) {
            let (_, name, _) = take(row)?;
            names.push(arcs(name)?);
            list = rest;
        }
        let (id, second) = (number(id), number(second));
        Some(Self { version, community: community.to_vec(), kind, id, second, names })
    }

    /// How many rows of each name are asked for.
    #[must_use]
    pub fn repetitions(&self) -> u32 {
        if self.kind == Kind::GetBulk { u32::try_from(self.second).unwrap_or(0) } else { 1 }
    }

    /// The packet with these rows.
    #[must_use]
    pub fn reply(&self, reply: &Reply) -> Vec<u8> {
        self.packet(0, &reply.rows.concat())
    }

    /// The packet that says that it can't.
    #[must_use]
    pub fn error(&self, status: i64) -> Vec<u8> {
        let rows: Vec<u8> = self.names.iter().flat_map(|name| wrap(0x30, &[oid(name), vec![5, 0]].concat())).collect();
        self.packet(status, &rows)
    }

    fn packet(&self, status: i64, rows: &[u8]) -> Vec<u8> {
        let place = i64::from(status != 0);
        let answer = [integer(2, self.id), integer(2, status), integer(2, place), wrap(0x30, rows)].concat();
        if self.version == 3 {
            return wrap(0xa2, &answer);
        }
        let message = [integer(2, self.version), wrap(4, &self.community), wrap(0xa2, &answer)].concat();
        wrap(0x30, &message)
    }
}

/// A tag, what it holds, and what follows.
#[must_use]
pub fn take(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f).min(4))?;
        (length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// The number in these bytes.
#[must_use]
pub fn number(bytes: &[u8]) -> i64 {
    let first = if bytes.first().is_some_and(|&byte| byte >= 0x80) { -1 } else { 0 };
    bytes.iter().fold(first, |number, &byte| number << 8 | i64::from(byte))
}

fn arcs(bytes: &[u8]) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut number = 0_u32;
    for &byte in bytes {
        number = number.checked_mul(128)?.checked_add(u32::from(byte & 0x7f))?;
        if byte < 0x80 {
            numbers.push(number);
            number = 0;
        }
    }
    let (&first, rest) = numbers.split_first()?;
    let head = [(first / 40).min(2), first - 40 * (first / 40).min(2)];
    Some([&head, rest].concat())
}

/// A tag with what it holds.
#[must_use]
pub fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a packet is small");
    let mut bytes = vec![tag];
    if length < 0x80 {
        bytes.push(length.to_be_bytes()[3]);
    } else {
        bytes.push(0x84);
        bytes.extend(length.to_be_bytes());
    }
    bytes.extend(content);
    bytes
}

/// A number, in as few bytes as it needs.
#[must_use]
pub fn integer(tag: u8, value: i64) -> Vec<u8> {
    wide(tag, i128::from(value))
}

/// A number that may have 64 bits and no sign.
#[must_use]
pub fn wide(tag: u8, value: i128) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    let spare = |pair: &[u8]| matches!((pair[0], pair[1] >= 0x80), (0, false) | (0xff, true));
    let skip = bytes.windows(2).take_while(|pair| spare(pair)).count();
    wrap(tag, &bytes[skip..])
}

/// A name.
#[must_use]
pub fn oid(arcs: &[u32]) -> Vec<u8> {
    let head = arcs.first().unwrap_or(&0) * 40 + arcs.get(1).unwrap_or(&0);
    let mut bytes = Vec::new();
    for arc in std::iter::once(head).chain(arcs.iter().skip(2).copied()) {
        let groups = (1..5).rev().filter(|group| arc >> (7 * group) != 0).map(|group| arc >> (7 * group) | 0x80);
        bytes.extend(groups.chain([arc & 0x7f]).map(|group| group.to_be_bytes()[3]));
    }
    wrap(6, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_come_back_as_they_went() {
        for name in [vec![1, 3, 6, 1, 4, 1, 4_294_967_295, 0, 127, 128], vec![2, 100, 3], vec![0, 0]] {
            let bytes = oid(&name);
            assert_eq!(arcs(take(&bytes).unwrap().1), Some(name));
        }
        for value in [0, 1, 127, 128, 255, 256, -1, -128, -129, i64::MAX, i64::MIN] {
            assert_eq!(number(take(&integer(2, value)).unwrap().1), value);
        }
        assert_eq!(wide(0x46, i128::from(u64::MAX)).len(), 11, "a leading zero keeps it from being negative");
    }
}
