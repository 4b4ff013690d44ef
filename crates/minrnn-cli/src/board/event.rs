//! Events as protobuf, as far as they are needed: `Event` of event.proto, `Summary` of summary.proto, `TensorProto` of tensor.proto.

/// A value of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value(Vec<u8>);

/// Kinds of fields.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

impl Value {
    /// A number, under a tag; TensorBoard shows tags with the same word before a `/` side by side.
    pub(super) fn scalar(tag: &str, value: f64) -> Self {
        let mut out = vec![];
        bytes(&mut out, 1, tag.as_bytes());
        key(&mut out, 2, FIXED32);
        out.extend((value as f32).to_le_bytes());
        Self(out)
    }

    /// A text, as the plugin `text` takes it: a tensor of strings, `[1]`. It is shown as Markdown, so that it is given as code.
    pub(super) fn text(tag: &str, text: &str) -> Self {
        // Four blanks before a line are code in Markdown, whatever stands in it.
        let code: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
        let mut size = vec![];
        key(&mut size, 1, VARINT);
        varint(&mut size, 1);
        let mut shape = vec![];
        bytes(&mut shape, 2, &size);
        let mut tensor = vec![];
        key(&mut tensor, 1, VARINT);
        // DT_STRING.
        varint(&mut tensor, 7);
        bytes(&mut tensor, 2, &shape);
        bytes(&mut tensor, 8, code.join("\n").as_bytes());
        let mut plugin = vec![];
        bytes(&mut plugin, 1, b"text");
        let mut metadata = vec![];
        bytes(&mut metadata, 1, &plugin);
        let mut out = vec![];
        bytes(&mut out, 1, tag.as_bytes());
        bytes(&mut out, 8, &tensor);
        bytes(&mut out, 9, &metadata);
        Self(out)
    }
}

/// An event as bytes.
pub(super) struct Event;

impl Event {
    /// What a file begins with.
    pub(super) fn version(version: &str) -> Vec<u8> {
        let mut out = vec![];
        time(&mut out, 0);
        bytes(&mut out, 3, version.as_bytes());
        out
    }

    /// Values of a step.
    pub(super) fn values(step: u64, values: &[Value]) -> Vec<u8> {
        let mut summary = vec![];
        values
            .iter()
            .for_each(|value| bytes(&mut summary, 1, &value.0));
        let mut out = vec![];
        time(&mut out, step);
        key(&mut out, 2, VARINT);
        varint(&mut out, step);
        bytes(&mut out, 5, &summary);
        out
    }
}

/// The wall time: the step, in the place of seconds.
fn time(out: &mut Vec<u8>, step: u64) {
    key(out, 1, FIXED64);
    out.extend((step as f64).to_le_bytes());
}

fn key(out: &mut Vec<u8>, field: u64, kind: u64) {
    varint(out, field << 3 | kind);
}

fn bytes(out: &mut Vec<u8>, field: u64, data: &[u8]) {
    key(out, field, BYTES);
    varint(out, data.len() as u64);
    out.extend(data);
}

fn varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// The step of an event, 0 where it says none; none of what is no event.
pub(super) fn step(event: &[u8]) -> Option<u64> {
    let mut step = 0;
    for field in Fields(event) {
        if let (2, Content::Number(n)) = field? {
            step = n;
        }
    }
    Some(step)
}

/// Whether a value of an event has this tag.
pub(super) fn has_tag(event: &[u8], tag: &str) -> bool {
    let inner = |data, wanted| {
        Fields(data)
            .flatten()
            .filter_map(move |(field, content)| match content {
                Content::Bytes(inner) if field == wanted => Some(inner),
                _ => None,
            })
    };
    let mut values = inner(event, 5).flat_map(|summary| inner(summary, 1));
    values.any(|value| inner(value, 1).any(|found| found == tag.as_bytes()))
}

/// What a field holds.
enum Content<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

/// The fields of a message; `None` for bytes that are none, and then nothing more.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Content<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Content<'a>)> {
        let key = self.number()?;
        let content = match key & 7 {
            VARINT => Content::Number(self.number()?),
            FIXED64 => self.take(8).map(|_| Content::Other)?,
            FIXED32 => self.take(4).map(|_| Content::Other)?,
            BYTES => {
                let length = usize::try_from(self.number()?).ok()?;
                Content::Bytes(self.take(length)?)
            }
            _ => return None,
        };
        Some((key >> 3, content))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}
