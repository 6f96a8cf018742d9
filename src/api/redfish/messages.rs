//! The messages that this service sends, in its own words: the source of error bodies and of the registries served.
//!
//! Keys, arguments and severities of `Base`, `ResourceEvent` and `TaskEvent` are the standard's (DSP8011, DSP0266
//! "Error responses"); `Rackfish` is our own registry. `%1` ... stand for the arguments.

use super::doc::{Doc, Json};

/// A message registry.
#[derive(Debug, PartialEq, Eq)]
pub struct Registry {
    /// `Base`
    pub prefix: &'static str,
    /// `1.22.1`
    pub version: &'static str,
    /// Who defines it.
    pub owner: &'static str,
    /// Where the complete one is published, if it isn't ours.
    pub published: Option<&'static str>,
    /// For people.
    pub description: &'static str,
}

/// DMTF's messages for everything.
pub static BASE: Registry = Registry {
    prefix: "Base",
    version: "1.22.1",
    owner: "DMTF",
    published: Some("https://redfish.dmtf.org/registries/Base.1.22.1.json"),
    description: "Those messages of DMTF's Base registry that this service sends, in its own words",
};
/// DMTF's messages about resources.
pub static RESOURCE_EVENT: Registry = Registry {
    prefix: "ResourceEvent",
    version: "1.4.3",
    owner: "DMTF",
    published: Some("https://redfish.dmtf.org/registries/ResourceEvent.1.4.3.json"),
    description: "Those messages of DMTF's ResourceEvent registry that this service sends, in its own words",
};
/// DMTF's messages about tasks.
pub static TASK_EVENT: Registry = Registry {
    prefix: "TaskEvent",
    version: "1.0.5",
    owner: "DMTF",
    published: Some("https://redfish.dmtf.org/registries/TaskEvent.1.0.5.json"),
    description: "Those messages of DMTF's TaskEvent registry that this service sends, in its own words",
};
/// Ours.
pub static RACKFISH: Registry = Registry {
    prefix: "Rackfish",
    version: "1.0.0",
    owner: "rackfish",
    published: None,
    description: "What can happen to machines behind PDUs and older BMCs",
};

/// All of them, in the order they are listed.
pub static REGISTRIES: &[&Registry] = &[&BASE, &RACKFISH, &RESOURCE_EVENT, &TASK_EVENT];

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the words are the standard's
pub enum Severity {
    OK,
    Warning,
    Critical,
}

impl Severity {
    /// The Redfish word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OK => "OK",
            Self::Warning => "Warning",
            Self::Critical => "Critical",
        }
    }
}

/// A message as defined.
#[derive(Debug)]
pub struct Definition {
    /// Where it belongs.
    pub registry: &'static Registry,
    /// Its name there.
    pub key: &'static str,
    /// Number of arguments.
    pub args: usize,
    /// How bad it is.
    pub severity: Severity,
    /// Text with `%1` ...
    pub text: &'static str,
    /// The way out.
    pub resolution: &'static str,
}

impl PartialEq for Definition {
    fn eq(&self, other: &Self) -> bool {
        self.registry.prefix == other.registry.prefix && self.key == other.key
    }
}

impl Definition {
    /// `Base.1.22.PropertyUnknown`: registry, major and minor version, key (DSP0266, "MessageId format").
    pub fn id(&self) -> String {
        let minor = self.registry.version.rsplit_once('.').map_or(self.registry.version, |(minor, _)| minor);
        format!("{}.{minor}.{}", self.registry.prefix, self.key)
    }

    /// The text with `args` filled in.
    pub fn fill(&self, args: &[String]) -> String {
        let mut out = String::with_capacity(self.text.len() + 32);
        let mut parts = self.text.split('%');
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let number = part.chars().next().and_then(|c| c.to_digit(10)).and_then(|d| usize::try_from(d).ok());
            if let Some(arg) = number.and_then(|n| args.get(n.wrapping_sub(1))) {
                out.push_str(arg);
                out.push_str(part.get(1..).unwrap_or_default());
            } else {
                out.push('%');
                out.push_str(part);
            }
        }
        out
    }

    /// The message with these arguments.
    pub fn with<const N: usize>(&'static self, args: [&str; N]) -> Message {
        debug_assert_eq!(N, self.args, "{}", self.key);
        Message {
            definition: self,
            args: args.iter().map(|a| (*a).to_owned()).collect(),
            detail: None,
            resolution: None,
            property: None,
        }
    }
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Which.
    pub definition: &'static Definition,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is known beyond the registry's text.
    pub detail: Option<String>,
    /// A way out that fits better than the registry's.
    pub resolution: Option<String>,
    /// The property meant, as JSON pointer.
    pub property: Option<String>,
}

impl Message {
    /// Adds to the text what is known beyond it.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says a way out that fits better than the registry's.
    #[must_use]
    pub fn way_out(mut self, resolution: impl Into<String>) -> Self {
        self.resolution = Some(resolution.into());
        self
    }

    /// Names the property meant (`Boot/BootSourceOverrideTarget`).
    #[must_use]
    pub fn about(mut self, path: &str) -> Self {
        self.property = Some(format!("#/{path}"));
        self
    }

    /// The whole text.
    pub fn text(&self) -> String {
        let mut text = self.definition.fill(&self.args);
        if let Some(detail) = &self.detail {
            text.push(' ');
            text.push_str(detail);
        }
        text
    }

    /// The members of a `Message` object (Message.v1_3_0; `Severity` too, for clients that know no other).
    pub fn write(&self, o: &mut Doc, with_severity: bool) {
        o.set("@odata.type", "#Message.v1_3_0.Message")
            .set("MessageId", self.definition.id())
            .set("Message", self.text())
            .list("MessageArgs", &self.args);
        if let Some(property) = &self.property {
            o.list("RelatedProperties", [property]);
        }
        if with_severity {
            o.set("Severity", self.definition.severity.as_str());
        }
        o.set("MessageSeverity", self.definition.severity.as_str())
            .set("Resolution", self.resolution.as_deref().unwrap_or(self.definition.resolution));
    }

    /// `@Message.ExtendedInfo` with `messages`.
    pub fn extended_info<'m>(o: &mut Doc, messages: impl IntoIterator<Item = &'m Self>) {
        o.arr("@Message.ExtendedInfo", |a| {
            for message in messages {
                a.item_obj(|o| message.write(o, true));
            }
        });
    }
}

impl Json for Severity {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_str().write(out);
    }
}

macro_rules! messages {
    ($($registry:ident { $($name:ident = $key:ident($args:literal) $severity:ident $text:literal => $resolution:literal;)* })*) => {
        $($(
            #[doc = $text]
            pub static $name: Definition = Definition {
                registry: &$registry,
                key: stringify!($key),
                args: $args,
                severity: Severity::$severity,
                text: $text,
                resolution: $resolution,
            };
        )*)*

        /// All messages.
        pub static ALL: &[&Definition] = &[$($(&$name),*),*];
    };
}

messages! {
BASE {
    SUCCESS = Success(0) OK "Done." => "None.";
    NO_OPERATION = NoOperation(0) Warning "The request asks for no change, and nothing was changed." =>
        "Send at least one property that can be written.";
    GENERAL_ERROR = GeneralError(0) Critical "The request failed; the messages in @Message.ExtendedInfo say why." =>
        "Follow the resolutions of the messages in @Message.ExtendedInfo.";
    INTERNAL_ERROR = InternalError(0) Critical "The service failed to carry out the request. This is a fault of the service itself." =>
        "Report it with the request id and the service's log.";
    MALFORMED_JSON = MalformedJSON(0) Critical "The body of the request is not well-formed JSON." =>
        "Correct the body and send the request again.";
    UNRECOGNIZED_BODY = UnrecognizedRequestBody(0) Warning "The body of the request is not something the service understands." =>
        "Send a JSON object with the Content-Type application/json.";
    EMPTY_JSON = EmptyJSON(0) Warning "The body of the request is empty, and there is nothing to act on." =>
        "Send a JSON object with the properties to set.";
    PAYLOAD_TOO_LARGE = PayloadTooLarge(0) Critical "The body of the request is larger than the service takes." =>
        "Send a smaller body.";
    PROPERTY_DUPLICATE = PropertyDuplicate(1) Warning "The property %1 occurs more than once in the request." =>
        "Send each property once.";
    PROPERTY_UNKNOWN = PropertyUnknown(1) Warning "The resource has no property %1." =>
        "Remove the property from the request, or correct its name.";
    PROPERTY_MISSING = PropertyMissing(1) Warning "The property %1 is needed and is missing in the request." =>
        "Add the property to the request.";
    PROPERTY_NOT_WRITABLE = PropertyNotWritable(1) Warning "The property %1 can be read, not written." =>
        "Remove the property from the request.";
    PROPERTY_TYPE = PropertyValueTypeError(2) Warning "The value %1 of the property %2 is of the wrong type." =>
        "Send a value of the type that the schema gives for the property.";
    PROPERTY_NOT_IN_LIST = PropertyValueNotInList(2) Warning "The value %1 is not one that the property %2 takes." =>
        "Choose one of the property's allowable values.";
    PROPERTY_FORMAT = PropertyValueFormatError(2) Warning "The value %1 of the property %2 is not formed as it has to be." =>
        "Correct the value.";
    PROPERTY_INCORRECT = PropertyValueIncorrect(2) Warning "The property %1 can't be set to %2." =>
        "Correct the value.";
    PROPERTY_CONFLICT = PropertyValueConflict(2) Warning "The property %1 can't be written: its value does not go together with that of %2." =>
        "Change one of the two values.";
    ACTION_NOT_SUPPORTED = ActionNotSupported(1) Critical "The action %1 can't be done on this resource." =>
        "Look at the Actions of the resource for what it can do.";
    ACTION_PARAMETER_MISSING = ActionParameterMissing(2) Critical "The action %1 needs the parameter %2." =>
        "Add the parameter to the body of the request.";
    ACTION_PARAMETER_UNKNOWN = ActionParameterUnknown(2) Warning "The action %1 has no parameter %2." =>
        "Remove the parameter, or correct its name.";
    ACTION_PARAMETER_TYPE = ActionParameterValueTypeError(3) Warning "The value %1 of the parameter %2 of the action %3 is of the wrong type." =>
        "Send a value of the right type.";
    ACTION_PARAMETER_NOT_IN_LIST = ActionParameterValueNotInList(3) Warning "%1 is not a value that the parameter %2 of the action %3 takes here." =>
        "Choose one of the allowable values listed beside the action.";
    ACTION_PARAMETER_FORMAT = ActionParameterValueFormatError(3) Warning "The value %1 of the parameter %2 of the action %3 is not formed as it has to be." =>
        "Correct the value.";
    ACTION_PARAMETER_CONFLICT = ActionParameterValueConflict(2) Warning "ActionParameterValueConflict: the parameter %1 can't be %2 at this moment." =>
        "Wait a little and send the request again.";
    INSUFFICIENT_PRIVILEGE = InsufficientPrivilege(0) Critical "The account may not do that." =>
        "Use an account whose role has the privilege.";
    ACCESS_UNAUTHORIZED = AccessUnauthorized(0) Critical "The request needs a login, and none that holds came with it." =>
        "Send valid credentials or a valid session token.";
    NO_VALID_SESSION = NoValidSession(0) Critical "The session does not exist or has expired." =>
        "Create a new session.";
    PASSWORD_CHANGE_REQUIRED = PasswordChangeRequired(1) Critical "The password of the account %1 has to be changed before anything else." =>
        "PATCH the property Password of that account.";
    PASSWORD_LENGTH = PasswordIncorrectLength(0) Critical "The password is too short or too long." =>
        "Choose another password.";
    RESTRICTED_ROLE = RestrictedRole(1) Warning "The role %1 can't be changed: it is predefined." =>
        "Use another role.";
    NOT_FOUND = ResourceMissingAtURI(1) Critical "There is nothing at %1." =>
        "Check the URI: take it from a link of the service, and mind upper and lower case.";
    NOT_FOUND_BY_NAME = ResourceNotFound(2) Critical "There is no %1 named %2." =>
        "Check the name.";
    ALREADY_EXISTS = ResourceAlreadyExists(3) Critical "There is a %1 whose %2 is %3 in place." =>
        "Choose another value.";
    CANNOT_BE_DELETED = ResourceCannotBeDeleted(0) Critical "The resource can't be removed." =>
        "Leave it, or remove first what needs it.";
    IN_USE = ResourceInUse(0) Warning "The resource is in use or in transition." =>
        "Wait and send the request again.";
    OPERATION_NOT_ALLOWED = OperationNotAllowed(0) Critical "The resource does not take this HTTP method." =>
        "Use one of the methods in the Allow header.";
    PRECONDITION_FAILED = PreconditionFailed(0) Critical "The resource has changed since the given ETag was issued, or the ETag was never its." =>
        "Read the resource again and repeat the request with its present ETag.";
    HEADER_INVALID = HeaderInvalid(1) Critical "The header %1 has a value that can't be accepted." =>
        "Correct or remove the header.";
    TEMPORARILY_UNAVAILABLE = ServiceTemporarilyUnavailable(1) Critical "The service can't do that at this moment; ask again in %1 s." =>
        "Wait and send the request again.";
    SHUTTING_DOWN = ServiceShuttingDown(0) Critical "The service is stopping and takes no more requests." =>
        "Wait until it has been started again.";
    QUERY_UNSUPPORTED = QueryParameterUnsupported(1) Warning "The service does not know the query parameter %1." =>
        "Remove it. ProtocolFeaturesSupported of the service root says what there is.";
    QUERY_NOT_ON_RESOURCE = QueryNotSupportedOnResource(0) Warning "The query parameter means nothing on this resource." =>
        "Remove it from the request.";
    QUERY_FORMAT = QueryParameterValueFormatError(2) Warning "The value %1 of the query parameter %2 is not formed as it has to be." =>
        "Correct the value.";
    QUERY_COMBINATION = QueryCombinationInvalid(0) Warning "These query parameters can't be used together." =>
        "Use them one at a time.";
    TOO_MANY_SUBSCRIPTIONS = EventSubscriptionLimitExceeded(0) Critical "There are as many subscriptions as the service keeps." =>
        "Delete one that is not needed any more.";
    CREATE_LIMIT_REACHED = CreateLimitReachedForResource(0) Critical "There are as many of these resources as the service keeps." =>
        "Delete one that is not needed any more.";
    EVENT_BUFFER_EXCEEDED = EventBufferExceeded(0) Warning "Events that were not delivered are gone: the service could not keep them for any longer." =>
        "Read the resources of interest anew.";
}
RACKFISH {
    ENDPOINT_UNAVAILABLE = EndpointUnavailable(3) Critical "The device %1 (unit %2) could not be used: %3." =>
        "Check the device, its address and its credentials; `rackfish endpoint show` tells more.";
    NODE_UNREACHABLE = NodeUnreachable(2) Warning "The state of %1 is not certain: %2." =>
        "Check the device that is named, and the way to it.";
    ACTION_NOT_CONFIRMED = ActionNotConfirmed(4) Critical "Unit %2 of the device %1 took the command but still shows %3 after %4 s." =>
        "Look at the device: a relay may be stuck, or its state not readable. The command was not repeated.";
    OUTCOME_UNKNOWN = OutcomeUnknown(2) Critical "It is not known whether the device %1 did what it was told: %2." =>
        "Read the power state of the node before sending anything again.";
    HELD = Held(3) Warning "%1 is held by %2: %3." =>
        "Ask the owner, or release the hold with `rackfish node release`.";
    OBSERVE_ONLY = ObserveOnly(1) Warning "The device %1 is configured to be observed only; nothing was switched." =>
        "Take observe_only out of the configuration if rackfish is to switch it.";
    OPERATION_IN_PROGRESS = OperationInProgress(2) Warning "%2 is under way on %1." =>
        "Wait for it to end. ForceOff makes an end of it at once.";
    OPERATION_CANCELLED = OperationCancelled(1) Warning "The operation was cancelled by %1." =>
        "Send the request again if it is still wanted.";
    START_DEFERRED = StartDeferred(1) Warning "The start would have to wait %1 s for its turn, and was not begun." =>
        "Send the request again after that time.";
    HOOK_FAILED = HookFailed(2) Critical "The hook that is configured for %1 failed: %2." =>
        "Check the hook's command or URL, and its time-out.";
    NOT_KEPT = StateNotKept(1) Critical "What was asked could not be kept safely, so it was not carried out: %1." =>
        "Check the state directory: space, permissions, the disk.";
    RESET_FAILED = ResetFailedFor(2) Critical "The reset of %1 failed: %2." =>
        "Look at the node, and send the reset for the nodes that failed again.";
    MADE_BY_CONFIGURATION = MadeByConfiguration(1) Warning "%1 is made by the configuration." =>
        "Change it there, and have the configuration reloaded.";
    LAST_ADMINISTRATOR = LastAdministrator(1) Warning "%1 is the last account that can administer this service." =>
        "Make another administrator first.";
    LOCKED_OUT = LockedOut(2) Warning "Passwords for the account %2 are not looked at from %1 any more: too many were wrong." =>
        "See who is at that address. The account's sessions, and other addresses, are not touched; PATCH Locked to false ends it.";
    POWER_CHANGED = PowerStateChanged(3) OK "The power state of %1 changed from %2 to %3." => "None.";
    OPERATION_DONE = OperationDone(2) OK "%2 of %1 is done." => "None.";
    OPERATION_FAILED = OperationFailed(3) Warning "%2 of %1 failed: %3." =>
        "See to the cause, then send the request again if it is still wanted.";
    OPERATION_REFUSED = OperationRefused(3) Warning "%2 of %1 was refused: %3." =>
        "See to the reason, then send the request again if it is still wanted.";
    ENDPOINT_LOST = EndpointLost(2) Warning "The device %1 can't be used: %2." =>
        "Check the device and the way to it.";
    ENDPOINT_RESTORED = EndpointRestored(1) OK "The device %1 answers." => "None.";
    BOOT_CHANGED = BootOverrideChanged(2) OK "Boot override of %1: %2." => "None.";
    HOLD_CHANGED = HoldChanged(2) OK "Hold on %1: %2." => "None.";
    DELIVERY_FAILING = EventDeliveryFailing(2) Warning "Events can't be delivered to %1: %2." =>
        "Check the destination and the way to it. What was not delivered is kept and sent again.";
    DELIVERY_SUSPENDED = EventDeliverySuspended(2) Warning "No events are delivered to %1: %2." =>
        "See to the cause, then call ResumeSubscription.";
    RESTART_REFUSED = RestartRefused(1) Critical "The service was not restarted: %1." =>
        "See to the cause, then ask again.";
    CONFIGURATION_CHANGED = ConfigurationChanged(1) OK "Configuration: %1." => "None.";
}
RESOURCE_EVENT {
    RESOURCE_CHANGED = ResourceChanged(0) OK "Properties of the resource have changed." => "None.";
    RESOURCE_CREATED = ResourceCreated(0) OK "The resource was created." => "None.";
    RESOURCE_REMOVED = ResourceRemoved(0) OK "The resource was removed." => "None.";
    POWERED_ON = ResourcePoweredOn(1) OK "The resource %1 is powered on." => "None.";
    POWERED_OFF = ResourcePoweredOff(1) OK "The resource %1 is powered off." => "None.";
    POWERING_ON = ResourcePoweringOn(1) OK "The resource %1 is powering on." => "None.";
    POWERING_OFF = ResourcePoweringOff(1) OK "The resource %1 is powering off." => "None.";
    TEST_MESSAGE = TestMessage(0) OK "This is a test." => "None.";
    RESOURCE_STATE_CHANGED = ResourceStateChanged(2) OK "The state of %1 is now %2." => "None.";
}
TASK_EVENT {
    TASK_STARTED = TaskStarted(1) OK "Task %1 has begun." => "None.";
    TASK_DONE = TaskCompletedOK(1) OK "Task %1 is done." => "None.";
    TASK_ABORTED = TaskAborted(1) Critical "Task %1 has failed." => "See to the cause and start it again.";
}
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_filled_in() {
        assert_eq!(HELD.with(["n1", "bob", "50 % done"]).text(), "n1 is held by bob: 50 % done.");
        assert_eq!(PROPERTY_UNKNOWN.id(), "Base.1.22.PropertyUnknown");
        assert_eq!(HELD.id(), "Rackfish.1.0.Held");
    }

    #[test]
    fn texts_use_exactly_their_arguments() {
        for d in ALL {
            for n in 1..=9 {
                assert_eq!(d.text.contains(&format!("%{n}")), n <= d.args, "{} %{n}", d.key);
            }
        }
    }

    /// Ironic's client searches error texts for these (sushy 5.14, "Reset" and "connector").
    #[test]
    fn no_text_sets_off_what_clients_search_for() {
        for d in ALL {
            let all = format!("{} {} {}", d.key, d.text, d.resolution);
            for magic in
                ["already powered", "host is powered", "iLO", "SYS518", "SYS029", "UnableToModify", "OemLicense"]
            {
                assert!(!all.contains(magic), "{} says {magic}", d.key);
            }
            assert_eq!(all.contains("ActionParameterValueConflict"), *d == &ACTION_PARAMETER_CONFLICT);
        }
    }

    #[test]
    fn every_message_says_something_and_a_way_out() {
        for d in ALL {
            assert!(d.text.ends_with('.') && d.resolution.ends_with('.'), "{}", d.key);
        }
        let mut ids: Vec<_> = ALL.iter().map(|d| d.id()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
