//! `--lan`: the addresses under which phones of the same network reach this machine, and a QR code of the first.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, UdpSocket},
};

use qrcodegen::{QrCode, QrCodeEcc};

/// Addresses that are reached by the default route, and by the routes of private networks. No packet is sent to them.
const TARGETS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(192, 168, 0, 1),
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(172, 16, 0, 1),
];

/// The quiet zone around a code, in modules: less is not read by every phone.
const BORDER: i32 = 2;

/// The addresses of this machine from which it sends to other machines, the likeliest first.
pub fn addresses() -> Vec<IpAddr> {
    let mut found = Vec::new();
    for target in TARGETS {
        let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else { continue };
        let address = socket.connect((target, 9)).and_then(|()| socket.local_addr());
        let Ok(address) = address.map(|address| address.ip()) else { continue };
        if !address.is_loopback() && !address.is_unspecified() && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

/// What is printed at the start. `url`: of the server at an address. `is_terminal`: a QR code can be shown.
pub fn words(addresses: &[IpAddr], url: impl Fn(IpAddr) -> String, is_terminal: bool) -> String {
    let Some(first) = addresses.first() else {
        return "no address of a network was found: connect this machine to the phones' network, and start again\n"
            .to_owned();
    };
    let mut words = String::new();
    for address in addresses {
        let _ = writeln!(words, "phones in this network: {}", url(*address));
    }
    if is_terminal && let Some(code) = qr(&url(*first)) {
        words.push_str(&code);
    }
    words
}

/// A QR code in half blocks, black on white on a terminal of any colours. `None`: the text is too long for one.
fn qr(text: &str) -> Option<String> {
    let code = QrCode::encode_text(text, QrCodeEcc::Low).ok()?;
    let (from, to) = (-BORDER, code.size() + BORDER);
    let mut drawn = String::new();
    for y in (from..to).step_by(2) {
        drawn.push_str("\u{1b}[30;107m");
        for x in from..to {
            drawn.push(match (code.get_module(x, y), code.get_module(x, y + 1)) {
                (true, true) => '█',
                (true, false) => '▀',
                (false, true) => '▄',
                (false, false) => ' ',
            });
        }
        drawn.push_str("\u{1b}[0m\n");
    }
    Some(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_printed_and_a_terminal_has_a_code() {
        let addresses = ["192.168.0.7".parse().unwrap(), "10.0.0.2".parse().unwrap()];
        let url = |address: IpAddr| format!("http://{address}:4000/");
        let plain = words(&addresses, url, false);
        assert_eq!(
            plain,
            "phones in this network: http://192.168.0.7:4000/\nphones in this network: http://10.0.0.2:4000/\n"
        );
        let shown = words(&addresses, url, true);
        // 24 bytes are version 2: 25 modules and the border.
        assert_eq!(shown.lines().count(), 2 + 15);
        assert!(shown.lines().nth(3).unwrap().contains("█▀▀▀▀▀█"), "{shown}");
        assert!(words(&[], url, true).contains("connect this machine"));
    }

    #[test]
    fn no_address_of_this_machine_alone_is_found() {
        assert!(addresses().iter().all(|address| !address.is_loopback() && address.is_ipv4()));
    }
}
