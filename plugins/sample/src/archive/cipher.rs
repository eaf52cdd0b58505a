//! What ZIP archives are encrypted with: the classic cipher, and AES in counter mode as WinZip has it.

use std::io::{self, Read};

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Aes192, Aes256};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;

use super::{Trouble, damaged};

/// One step of CRC-32 for each byte.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                value >> 1 ^ 0xedb8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

fn crc(value: u32, byte: u8) -> u32 {
    TABLE[usize::from(value as u8 ^ byte)] ^ value >> 8
}

/// Bytes of the classic cipher, deciphered.
#[derive(Debug)]
pub(super) struct Classic<R> {
    inner: R,
    keys: [u32; 3],
}

impl<R: Read> Classic<R> {
    /// `check`: the bytes of which one ends the header when the password is right.
    pub(super) fn new(inner: R, password: &str, check: [u8; 2]) -> Result<Self, Trouble> {
        let mut classic = Self {
            inner,
            keys: [0x1234_5678, 0x2345_6789, 0x3456_7890],
        };
        for byte in password.bytes() {
            classic.step(byte);
        }
        let mut header = [0; 12];
        classic.read_exact(&mut header)?;
        if check.contains(&header[11]) {
            Ok(classic)
        } else {
            Err(Trouble::Password)
        }
    }

    fn step(&mut self, plain: u8) {
        let [first, second, third] = &mut self.keys;
        *first = crc(*first, plain);
        *second = second
            .wrapping_add(*first & 0xff)
            .wrapping_mul(134_775_813)
            .wrapping_add(1);
        *third = crc(*third, (*second >> 24) as u8);
    }
}

impl<R: Read> Read for Classic<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        for byte in &mut buffer[..count] {
            let mixed = self.keys[2] | 2;
            *byte ^= (mixed.wrapping_mul(mixed ^ 1) >> 8) as u8;
            self.step(*byte);
        }
        Ok(count)
    }
}

enum Aes {
    Short(Aes128),
    Middle(Aes192),
    Long(Box<Aes256>),
}

/// Bytes of AES as WinZip has it, deciphered; the code that authenticates them is looked at when all are read.
pub(super) struct WinZip<R> {
    inner: R,
    /// Enciphered bytes still to come.
    left: u64,
    cipher: Aes,
    counter: u128,
    stream: aes::Block,
    used: usize,
    code: Option<Hmac<Sha1>>,
}

/// Bytes of the code at the end.
const CODE: usize = 10;

impl<R: Read> WinZip<R> {
    /// `strength`: 1 to 3. `packed`: bytes of salt, check, data and code together.
    pub(super) fn new(
        mut inner: R,
        password: &str,
        strength: u8,
        packed: u64,
    ) -> Result<Self, Trouble> {
        let (salt_length, key_length) = match strength {
            1 => (8, 16),
            2 => (12, 24),
            3 => (16, 32),
            _ => return Err(damaged("an unknown strength of encryption")),
        };
        let left = packed
            .checked_sub((salt_length + 2 + CODE) as u64)
            .ok_or_else(|| damaged("an encrypted file is too short"))?;
        let mut salt = [0; 16];
        let salt = &mut salt[..salt_length];
        inner.read_exact(salt)?;
        let mut check = [0; 2];
        inner.read_exact(&mut check)?;
        let mut derived = [0; 66];
        let derived = &mut derived[..2 * key_length + 2];
        pbkdf2::pbkdf2_hmac::<Sha1>(password.as_bytes(), salt, 1000, derived);
        let (key, rest) = derived.split_at(key_length);
        let (code_key, expected) = rest.split_at(key_length);
        if expected != check {
            return Err(Trouble::Password);
        }
        let unusable = |_| damaged("an unusable key");
        let cipher = match key_length {
            16 => Aes::Short(Aes128::new_from_slice(key).map_err(unusable)?),
            24 => Aes::Middle(Aes192::new_from_slice(key).map_err(unusable)?),
            _ => Aes::Long(Box::new(Aes256::new_from_slice(key).map_err(unusable)?)),
        };
        let code = <Hmac<Sha1> as hmac::KeyInit>::new_from_slice(code_key);
        Ok(Self {
            inner,
            left,
            cipher,
            counter: 0,
            stream: aes::Block::default(),
            used: 16,
            code: Some(code.map_err(|_| damaged("an unusable key"))?),
        })
    }

    fn key_byte(&mut self) -> u8 {
        if self.used == 16 {
            self.counter = self.counter.wrapping_add(1);
            self.stream = self.counter.to_le_bytes().into();
            match &self.cipher {
                Aes::Short(cipher) => cipher.encrypt_block(&mut self.stream),
                Aes::Middle(cipher) => cipher.encrypt_block(&mut self.stream),
                Aes::Long(cipher) => cipher.encrypt_block(&mut self.stream),
            }
            self.used = 0;
        }
        self.used += 1;
        self.stream[self.used - 1]
    }

    /// Reads what a decoder left, and looks at the code.
    pub(super) fn check(&mut self) -> Result<(), Trouble> {
        io::copy(self, &mut io::sink())?;
        Ok(())
    }
}

impl<R: Read> Read for WinZip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = buffer.len().min(most);
        if most > 0 {
            let count = self.inner.read(&mut buffer[..most])?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(code) = &mut self.code {
                code.update(&buffer[..count]);
            }
            for byte in &mut buffer[..count] {
                *byte ^= self.key_byte();
            }
            self.left -= count as u64;
            return Ok(count);
        }
        if self.left == 0
            && let Some(code) = self.code.take()
        {
            let mut expected = [0; CODE];
            self.inner.read_exact(&mut expected)?;
            code.verify_truncated_left(&expected)
                .map_err(|_| io::Error::other("an encrypted file was changed"))?;
        }
        Ok(0)
    }
}
