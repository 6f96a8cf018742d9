//! Roles of one's own, and accounts that have them.

use super::*;

const ROLES: &str = "/redfish/v1/AccountService/Roles";
const ACCOUNTS: &str = "/redfish/v1/AccountService/Accounts";

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_ones_own_is_made_given_changed_and_removed() {
    let rig = Rig::new(1).await;
    let role = format!("{ROLES}/watch-1");
    for (body, key) in [
        (json!({"RoleId": "watch-1"}), "PropertyMissing"),
        (json!({"RoleId": "watch-1", "AssignedPrivileges": ["Login", "NoAuth"]}), "PropertyValueNotInList"),
        (json!({"RoleId": "watch-1", "AssignedPrivileges": ["ConfigureSelf"]}), "PropertyValueIncorrect"),
        (json!({"RoleId": "a/b", "AssignedPrivileges": ["Login"]}), "PropertyValueIncorrect"),
        (json!({"RoleId": "watch-1", "AssignedPrivileges": ["Login"], "Id": "x"}), "PropertyUnknown"),
    ] {
        let answer = rig.post(ROLES, body).await;
        assert_eq!((answer.status.as_u16(), answer.key()), (400, key));
    }
    let wanted = json!({"RoleId": "watch-1", "AssignedPrivileges": ["Login"]});
    assert_eq!(rig.as_user("operator", Method::POST, ROLES, Some(wanted.clone())).await.status, 403);
    let made = rig.post(ROLES, wanted.clone()).await;
    assert_eq!((made.status.as_u16(), made.header("location")), (201, role.as_str()));
    assert_eq!((&made.body["IsPredefined"], &made.body["AssignedPrivileges"]), (&json!(false), &json!(["Login"])));
    assert_eq!(rig.post(ROLES, wanted).await.key(), "ResourceAlreadyExists");
    assert_eq!(rig.get(ROLES).await.body["Members@odata.count"], 4);

    let account = json!({"UserName": "ann", "Password": PASSWORD, "RoleId": "watch-1"});
    let ann = rig.post(ACCOUNTS, account).await;
    assert_eq!(ann.body["Links"]["Role"]["@odata.id"], role.as_str());
    let reset = format!("{SYSTEMS}/pdu-1/Actions/ComputerSystem.Reset");
    let on = async || rig.as_user("ann", Method::POST, &reset, Some(json!({"ResetType": "On"}))).await.status;
    assert_eq!(on().await, 403);
    let etag = made.header("etag").to_owned();
    let patch = async |etag: &str, set: Value| {
        let request = rig.request(Method::PATCH, &role).basic_auth("admin", Some(PASSWORD));
        Rig::send(request.header("If-Match", etag).json(&json!({"AssignedPrivileges": set}))).await
    };
    assert_eq!(patch(&etag, json!(["Login", "ConfigureComponents"])).await.status, 200);
    assert_eq!(patch(&etag, json!(["Login"])).await.status, 412);
    assert!(on().await.is_success(), "a change of a role holds at once");
    assert_eq!(rig.as_user("ann", Method::GET, "/redfish/v1/Systems", None).await.status, 200);
    assert_eq!(rig.as_user("ann", Method::POST, ACCOUNTS, Some(json!({"UserName": "x"}))).await.status, 403);

    let held = rig.as_user("admin", Method::DELETE, &role, None).await;
    assert_eq!((held.status.as_u16(), held.key()), (409, "ResourceCannotBeDeleted"));
    let predefined = format!("{ROLES}/Operator");
    let refused = rig.as_user("admin", Method::DELETE, &predefined, None).await;
    assert_eq!((refused.status.as_u16(), refused.key()), (403, "RestrictedRole"));
    let refused = rig.patch(&predefined, json!({"AssignedPrivileges": ["Login"]})).await;
    assert_eq!((refused.status.as_u16(), refused.key()), (400, "PropertyNotWritable"));
    assert_eq!(rig.as_user("admin", Method::DELETE, &format!("{ACCOUNTS}/ann"), None).await.status, 204);
    assert_eq!(rig.as_user("admin", Method::DELETE, &role, None).await.status, 204);
    assert_eq!(rig.get(&role).await.status, 404);
}
