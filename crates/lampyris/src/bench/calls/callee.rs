//! The callee's side: 180 and 200 at once, and whether INVITE, ACK and BYE come as they must.

use super::Calls;
use super::caller::SDP;
use crate::bench::limits::T1;
use crate::bench::scan::Heard;
use std::time::Instant;

impl Calls {
    /// The flow a callee is registered on: one of the first half. Why not any: who calls from where the callee is
    /// registered calls themselves, and servers refuse that.
    pub(super) fn callee_flow(&self, callee: usize) -> usize {
        callee % (self.locals.len() / 2).max(1)
    }

    /// The flow a call is made on: one of the second half.
    pub(super) fn caller_flow(&self, number: usize) -> usize {
        let half = self.locals.len() / 2;
        half + number % (self.locals.len() - half).max(1)
    }

    pub(super) fn on_request(&mut self, flow: usize, heard: &Heard<'_>, now: Instant) {
        let dialog = self.pen.dialog(heard.call_id).filter(|(_, kind)| *kind == b'c');
        let Some((number, _)) = dialog else {
            self.tally.foreign += 1;
            if heard.method != b"ACK" {
                let status = if heard.method == b"OPTIONS" { "200 OK" } else { "481 Call Does Not Exist" };
                let answer = self.pen.answer(status, heard, Some(format_args!("bench")), b"", b"");
                self.outbox.push((flow, answer));
            }
            return;
        };
        match heard.method {
            b"INVITE" => self.on_invite(number, flow, heard, now),
            b"ACK" => {
                if let Some(call) = self.open.get_mut(&number) {
                    call.confirmed = true;
                    call.answer = None;
                }
                self.close(number);
            }
            b"BYE" => self.on_bye(number, flow, heard),
            b"CANCEL" | b"OPTIONS" => {
                let answer = self.pen.answer("200 OK", heard, None, b"", b"");
                self.outbox.push((flow, answer));
            }
            _ => {
                let answer = self.pen.answer("405 Method Not Allowed", heard, None, b"", b"");
                self.outbox.push((flow, answer));
            }
        }
    }

    fn on_invite(&mut self, number: u32, flow: usize, heard: &Heard<'_>, now: Instant) {
        let local = self.local(flow);
        let Some(call) = self.open.get_mut(&number) else { return };
        let branch = heard.branch();
        if !call.branch.is_empty() {
            if call.branch == branch {
                self.tally.repeated += 1;
                if let Some((flow, answer, _)) = &call.answer {
                    self.outbox.push((*flow, answer.clone()));
                }
            } else {
                self.tally.faults.duplicated += 1;
            }
            return;
        }
        call.branch = branch.to_vec();
        let callee = call.callee;
        let name = format!("{}{callee}", self.presentity);
        let right = self.callee_flow(callee) == flow;
        let contact = self.pen.contact(format_args!("{name}"), local);
        let tag = format_args!("d{number:x}");
        let ringing = self.pen.answer("180 Ringing", heard, Some(tag), contact.as_bytes(), b"");
        let more = format!("{contact}Content-Type: application/sdp\r\n");
        let tag = format_args!("d{number:x}");
        let answer = self.pen.answer("200 OK", heard, Some(tag), more.as_bytes(), SDP);
        if let Some(call) = self.open.get_mut(&number) {
            call.answer = Some((flow, answer.clone(), now + T1));
        }
        self.tally.faults.wrong_body += u64::from(!right || heard.body != SDP);
        self.outbox.extend([(flow, ringing), (flow, answer)]);
    }

    fn on_bye(&mut self, number: u32, flow: usize, heard: &Heard<'_>) {
        let answer = self.pen.answer("200 OK", heard, None, b"", b"");
        self.outbox.push((flow, answer));
        let Some(call) = self.open.get_mut(&number) else { return };
        let branch = heard.branch();
        if call.bye_branch.is_empty() {
            call.bye_branch = branch.to_vec();
        } else if call.bye_branch == branch {
            self.tally.repeated += 1;
        } else {
            self.tally.faults.duplicated += 1;
        }
    }
}
