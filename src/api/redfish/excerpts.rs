//! What the schemas mark as an excerpt of a resource (term `Redfish.Excerpt` of RedfishExtensions): the query parameter
//! `excerpt` leaves these properties (DSP0266, "Query parameters"). A resource whose schema marks none comes whole.

/// Sensor.v1_12: what is marked, but for what only copies of a sensor have (`Redfish.ExcerptCopyOnly`).
const SENSOR: [&str; 14] = [
    "ApparentVA",
    "ApparentkVAh",
    "CrestFactor",
    "LifetimeReading",
    "PhaseAngleDegrees",
    "PhysicalContext",
    "PhysicalSubContext",
    "PowerFactor",
    "ReactiveVAR",
    "ReactivekVARh",
    "Reading",
    "SensorResetTime",
    "SpeedRPM",
    "THDPercent",
];

/// The properties that make the excerpt of a resource, by its `@odata.type`.
pub fn of(odata_type: &str) -> Option<&'static [&'static str]> {
    odata_type.starts_with("#Sensor.").then_some(&SENSOR)
}
