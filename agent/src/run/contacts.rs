//! What the collector says of its CAs and addresses: looked at whole, and believed whole or not at all.
//!
//! A wrong word here could cut off a district for good. So what can't be right is refused with its reason and everything
//! stays as it was; and what is right still leaves the way that works now as the last one to try (`renewer`).

use bellwether_proto::trust::{CAS_MAX, ENDPOINTS_MAX, is_endpoint};
use bellwether_proto::v1::Contacts;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

/// A CA's certificate is a kibibyte; they are kept on the disk.
const CA_BYTES_MAX: usize = 16 << 10;

/// Why nothing of it is believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadContacts {
    #[error("the collector names {0} authorities: an agent believes {most}", most = CAS_MAX - 1)]
    TooManyCas(usize),
    #[error("number {0} of the authorities that the collector names can't be one")]
    NoCa(usize),
    #[error("the collector names {0} addresses: an agent keeps {most}", most = ENDPOINTS_MAX - 1)]
    TooManyEndpoints(usize),
    #[error("the collector names the address {0:?}: expected HOST:PORT")]
    NoEndpoint(String),
}

/// What can be believed. Either may be empty: as before.
#[derive(Debug)]
pub(super) struct Checked {
    /// The one that issues certificates now comes first.
    pub cas: Vec<CertificateDer<'static>>,
    /// The first is tried first.
    pub endpoints: Vec<String>,
}

/// Looks at what was said. One place of each list is kept for what works now.
pub(super) fn check(contacts: &Contacts) -> Result<Checked, BadContacts> {
    let Contacts { cas, endpoints } = contacts;
    if cas.len() >= CAS_MAX {
        return Err(BadContacts::TooManyCas(cas.len()));
    }
    if endpoints.len() >= ENDPOINTS_MAX {
        return Err(BadContacts::TooManyEndpoints(endpoints.len()));
    }
    if let Some(at) = cas.iter().position(|ca| !is_ca(ca)) {
        return Err(BadContacts::NoCa(at + 1));
    }
    if let Some(wrong) = endpoints.iter().find(|endpoint| !is_endpoint(endpoint)) {
        return Err(BadContacts::NoEndpoint(wrong.chars().take(80).collect()));
    }
    let cas = cas.iter().map(|ca| CertificateDer::from(ca.clone())).collect();
    Ok(Checked { cas, endpoints: endpoints.clone() })
}

/// Whether this is one certificate, of an authority, by which a chain can be verified.
fn is_ca(der: &[u8]) -> bool {
    let says_so = || {
        let parsed = x509_parser::parse_x509_certificate(der);
        parsed.is_ok_and(|(rest, certificate)| rest.is_empty() && certificate.is_ca())
    };
    der.len() <= CA_BYTES_MAX && says_so() && RootCertStore::empty().add(CertificateDer::from(der)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

    fn certificate(is_ca: IsCa) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn ca() -> Vec<u8> {
        certificate(IsCa::Ca(BasicConstraints::Unconstrained))
    }

    fn endpoints(endpoints: &[&str]) -> Contacts {
        Contacts { endpoints: endpoints.iter().map(|text| (*text).to_owned()).collect(), ..Contacts::default() }
    }

    #[test]
    fn what_is_right_is_believed_in_its_order() {
        let cas = vec![ca(), ca()];
        let said = Contacts { cas: cas.clone(), ..endpoints(&["new.example.org:7443", "[2001:db8::1]:7443"]) };
        let checked = check(&said).unwrap();
        assert_eq!(checked.cas.iter().map(|ca| ca.to_vec()).collect::<Vec<_>>(), cas);
        assert_eq!(checked.endpoints, said.endpoints);
        assert!(check(&Contacts::default()).unwrap().cas.is_empty(), "as before");
    }

    #[test]
    fn whatever_is_wrong_is_refused_whole_and_named() {
        let good = ca();
        let cas = |cas: Vec<Vec<u8>>| Contacts { cas, ..endpoints(&["new.example.org:7443"]) };
        let cut = good[..good.len() - 1].to_vec();
        let longer = [good.clone(), vec![0]].concat();
        let nobody = certificate(IsCa::NoCa);
        for (at, bad) in
            [(1, Vec::new()), (1, b"garbage".to_vec()), (1, cut), (1, longer), (1, nobody), (2, vec![1; 20_000])]
        {
            let mut named = vec![good.clone(); at - 1];
            named.push(bad);
            assert_eq!(check(&cas(named)).unwrap_err(), BadContacts::NoCa(at));
        }
        assert_eq!(check(&cas(vec![good; CAS_MAX])).unwrap_err(), BadContacts::TooManyCas(CAS_MAX));
        for bad in ["", ":7443", "host", "host:0", "https://host:7443", "a b:1", "host:1\n", "::1:7443", "user@host:1"]
        {
            let refused = check(&endpoints(&["good.example.org:7443", bad])).unwrap_err();
            assert_eq!(refused, BadContacts::NoEndpoint(bad.to_owned()));
        }
        let many = vec!["host:1"; ENDPOINTS_MAX];
        assert_eq!(check(&endpoints(&many)).unwrap_err(), BadContacts::TooManyEndpoints(ENDPOINTS_MAX));
        let text = check(&endpoints(&["ftp://host:21"])).unwrap_err().to_string();
        assert_eq!(text, "the collector names the address \"ftp://host:21\": expected HOST:PORT");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(ca in proptest::collection::vec(any::<u8>(), 0..200), endpoint in "\\PC{0,60}") {
            let _ = check(&Contacts { cas: vec![ca], endpoints: vec![] });
            let taken = check(&Contacts { cas: vec![], endpoints: vec![endpoint.clone()] });
            prop_assert!(taken.is_err() || endpoint.rsplit_once(':').is_some_and(|(host, _)| !host.contains('/')));
        }
    }
}
