//! Line protocol of others: any bytes are read or refused line by line, and what is read is written and read as the same.

use bellwether_series::{Precision, lines, write_line};
use rand::RngExt;
use rand::rngs::StdRng;

use super::mutate;

/// What writers send, and the traps of the format.
const GOOD: &[&str] = &[
    "cpu,host=a,region=east usage=1.5,n=3i,up=true 1700000000000000000\n",
    "weather\\,x,lo\\=c=a\\ b\\,c temp=-1e-5,note=\"it is \\\"warm\\\", \\\\ yes\" 1\n",
    "m v=1\n# a comment\n\nm,t=x s=\"a\nb\",u=18446744073709551615u -9223372036854775806\r\n",
    "disk,path=C:\\ free=9223372036854775807i,name=\"\\\\\",t=T,f=F 1700000000\n",
    "ä,ö=ü ß=\"é\" 10\nm\\ n,k\\,=v\\= f\\ g=0.0\n",
];

const PIECES: &[&str] =
    &[",", "=", " ", "\\", "\"", "\n", "\r\n", "i", "u", "t", "#", "1e999", "-", "\\\\", "\0", "ä", ".", "NaN"];

pub fn run(rng: &mut StdRng) {
    for _ in 0..500 {
        let mut text = Vec::new();
        for _ in 0..rng.random_range(1..4) {
            text.extend_from_slice(GOOD[rng.random_range(0..GOOD.len())].as_bytes());
        }
        for _ in 0..rng.random_range(0..8) {
            if rng.random_range(0..2) == 0 {
                let piece = PIECES[rng.random_range(0..PIECES.len())].bytes();
                let at = rng.random_range(0..=text.len());
                drop(text.splice(at..at, piece));
            } else {
                mutate::bytes(rng, &mut text);
            }
        }
        round(&text);
    }
}

fn round(text: &[u8]) {
    let (mut end, mut count) = (0, 0);
    for line in lines(text, Precision::Nanoseconds, 7) {
        count += 1;
        assert!(count <= text.len(), "more lines than bytes");
        let Ok(line) = line else { continue };
        assert!(end <= line.place.start && line.place.start < line.place.end && line.place.end <= text.len());
        end = line.place.end;
        let mut written = String::new();
        write_line(&mut written, &line.point);
        let again: Vec<_> = lines(written.as_bytes(), Precision::Nanoseconds, 7).collect();
        let [Ok(again)] = &again[..] else { panic!("{written:?} is not one line: {again:?}") };
        assert_eq!(again.point, line.point, "{written:?}");
    }
}
