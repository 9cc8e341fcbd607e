use std::sync::Arc;

use super::{Codec, CodecError, Postcard, Raw};

#[test]
fn values_come_back() {
    let value = ("text".to_string(), Some(7_u64), vec![1.5, -2.0]);
    let bytes = Postcard.encode(&value).expect("bytes");
    assert_eq!(Postcard.decode(&bytes), Ok(value));
    let bytes: Arc<[u8]> = Arc::from(&b"\0\xffraw"[..]);
    assert_eq!(Raw.decode(&Raw.encode(&bytes).expect("bytes")), Ok(bytes));
}

#[test]
fn what_another_type_has_written_is_an_error() {
    let bytes = Postcard.encode(&(1_u64, 2_u64)).expect("bytes");
    assert_eq!(Codec::<u64>::decode(&Postcard, &bytes), Err(CodecError), "left over");
    assert_eq!(Codec::<(u64, u64, u64)>::decode(&Postcard, &bytes), Err(CodecError));
    assert_eq!(Codec::<String>::decode(&Postcard, b"\x02\xff\xff"), Err(CodecError));
}

#[cfg(feature = "json")]
#[test]
fn json_can_be_read_by_others() {
    use super::Json;
    let bytes = Json.encode(&vec![1, 2]).expect("bytes");
    assert_eq!(bytes, b"[1,2]");
    assert_eq!(Json.decode(&bytes), Ok(vec![1, 2]));
    assert_eq!(Codec::<Vec<u64>>::decode(&Json, b"[1,2"), Err(CodecError));
}
