//! The application: its fence, its pointer, and the operator's programs.

use std::sync::Arc;
use std::time::Duration;

use shadowtable::model::Timestamp;
use shadowtable::ports::{Application, Fault, PortError, Program, ProgramFailure};

use super::{Call, Process, State, failure, request};

/// The name of the live table.
pub const SOURCE: &str = "orders";
/// The name of the table being built.
pub const SHADOW: &str = "orders-new";

/// The application, as one process reaches it.
pub struct FakeApplication(pub(super) Arc<Process>);

impl State {
    /// What a program of this name does.
    fn run_program(&mut self, name: &str, now: Timestamp) {
        self.programs.push(name.to_owned());
        match name {
            "fence" => {
                self.fenced_at = self.fenced_at.filter(|_| self.fenced).or(Some(now));
                self.fenced = true;
            }
            "unfence" => {
                self.fenced = false;
                self.look_for_two_open_tables();
            }
            "switch" => SHADOW.clone_into(&mut self.pointer),
            // A hook, or a fence that lies.
            _ => {}
        }
    }

    /// When the fence stood last.
    pub fn fenced_at(&self) -> Option<Timestamp> {
        self.fenced_at
    }

    /// While the application uses the shadow, the source must not be open.
    fn look_for_two_open_tables(&mut self) {
        if self.pointer == SHADOW && !self.fenced {
            self.violations.push("both tables are open".into());
        }
    }
}

impl Application for FakeApplication {
    async fn run(
        &self,
        program: &Program,
        environment: &[(&'static str, String)],
        limit: Duration,
    ) -> Result<String, ProgramFailure> {
        let name = program.argv[0].clone();
        if self.0.world().state().missing_programs.contains(&name) {
            return Err(ProgramFailure::NotStarted("it is not there".into()));
        }
        assert!(environment.iter().any(|(variable, _)| *variable == "CUTOVER_OCCASION"));
        let call = Call::Program(&program.argv[0]);
        let ran = request(&self.0, &call, move |state, now, _| {
            state.run_program(&name, now);
            Ok(())
        });
        match ran.await {
            Ok(()) => Ok(String::new()),
            Err(error) if error.fault == Fault::Abandoned => {
                Err(ProgramFailure::TimedOut { limit, output: String::new() })
            }
            Err(error) => Err(ProgramFailure::Failed { status: error.message, output: String::new() }),
        }
    }

    async fn check(&self, program: &Program) -> Result<(), String> {
        let state = self.0.world().state();
        let missing = state.missing_programs.contains(&program.argv[0]);
        if missing { Err(format!("{} is not there", program.argv[0])) } else { Ok(()) }
    }

    async fn may_point(&self) -> Result<(), PortError> {
        request(
            &self.0,
            &Call::Pointer,
            |state, _, _| {
                if state.pointer_locked { Err(failure(Fault::Denied)) } else { Ok(()) }
            },
        )
        .await
    }

    async fn pointer(&self) -> Result<Option<String>, PortError> {
        request(&self.0, &Call::Pointer, |state, _, _| Ok(Some(state.pointer.clone()))).await
    }

    async fn point(&self, from: &str, to: &str) -> Result<(), PortError> {
        let (from, to) = (from.to_owned(), to.to_owned());
        request(&self.0, &Call::Point, move |state, _, _| {
            if state.pointer_locked {
                return Err(failure(Fault::Denied));
            }
            if state.pointer != from {
                return Err(failure(Fault::Conflict));
            }
            state.pointer = to;
            state.look_for_two_open_tables();
            Ok(())
        })
        .await
    }
}
