//! What is wrong with a URL or a deployment is said clearly, at the start and later.

use std::net::SocketAddr;

use bson::doc;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::store::conformance::{all, apply, declare, id, insert, set, stored, writes};

fn quick() -> Options {
    Options {
        find_server: Duration::from_millis(1_500),
        heartbeat: Duration::from_millis(500),
        patience: Duration::from_millis(500),
        longest_commit: Duration::from_secs(5),
        longest_query: Duration::from_secs(5),
    }
}

/// `host:port` of the replica set.
fn host() -> String {
    let url = crate::store::testing::deployment();
    let rest = url.trim_start_matches("mongodb://");
    rest.split(['/', ',']).next().unwrap_or_default().to_owned()
}

async fn refusal(url: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    match MongoStore::open(url, folder.path(), quick()).await {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn nobody_there_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(
        refusal(&format!("mongodb://me:geheim@{free}/crits")).await,
        format!(
            "the store can't be reached: nobody answers as MongoDB at {free}: does it run, and is the address in the URL right?"
        )
    );
}

#[tokio::test]
async fn a_server_without_tls_is_said_if_the_url_wants_it() {
    let host = host();
    assert_eq!(
        refusal(&format!("mongodb://{host}/crits?tls=true")).await,
        format!(
            "the store can't be reached: nobody answers as MongoDB with TLS at {host}: does it run, is the address in the URL right, and its certificate trusted (`tlsCAFile`)?"
        )
    );
}

#[tokio::test]
async fn an_index_of_somebody_else_in_the_way_is_named() {
    let (scratch, store) = open().await;
    let client = Client::with_uri_str(&scratch.url).await.unwrap();
    let options = mongodb::options::IndexOptions::builder()
        .name("critd size".to_owned())
        .build();
    let model = mongodb::IndexModel::builder()
        .keys(doc! { "other": 1 })
        .options(options)
        .build();
    let collection = client
        .database(&scratch.name)
        .collection::<Document>("things");
    collection.create_index(model).await.unwrap();
    let refused = store
        .declare(&[crate::store::conformance::things()])
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refused.starts_with("`things` of the database can't have an index that critd needs: ")
            && refused.contains("critd size"),
        "{refused}"
    );
    // The same index under another name is as good.
    collection.drop_index("critd size").await.unwrap();
    let model = mongodb::IndexModel::builder()
        .keys(doc! { "size": 1, "_id": 1, own::CLASS: 1 })
        .build();
    collection.create_index(model).await.unwrap();
    declare(&store).await;
}

#[tokio::test]
async fn a_refused_log_in_is_said_without_the_password() {
    let host = host();
    assert_eq!(
        refusal(&format!(
            "mongodb://me:geheim@{host}/crits?authSource=admin"
        ))
        .await,
        format!(
            "MongoDB at {host} refuses the user `me`: wrong name or password, or `authSource` in the URL is not the database that has the user"
        )
    );
}

#[tokio::test]
async fn another_replica_set_is_said() {
    let host = host();
    assert_eq!(
        refusal(&format!("mongodb://{host}/?replicaSet=other")).await,
        format!(
            "the replica set at {host} is called `critd`, not `other`: correct `replicaSet` in the URL of the store"
        )
    );
}

#[tokio::test]
async fn a_url_that_is_none_is_said_without_the_password() {
    for url in [
        "mongodb://me:geheim@",
        "mongodb://me:ge/heim@host/",
        "mongodb://me:geheim@host:99999999/",
        "mongodb://me:geheim@host/?nonsense=geheim&w=geheim",
        "mongodb+srv://me:geheim@a.b/",
    ] {
        let text = refusal(url).await;
        assert!(
            text.starts_with("the URL of the store can't be used: "),
            "{url}: {text}"
        );
        assert!(!text.contains("heim"), "{url}: {text}");
    }
}

/// Lets connections through to the replica set until it is dropped.
struct Passage {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Passage {
    async fn open(address: SocketAddr, to: String) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                let to = to.clone();
                connections.spawn(async move {
                    if let Ok(mut there) = TcpStream::connect(&to).await {
                        let _ = copy_bidirectional(&mut from, &mut there).await;
                    }
                });
            }
        });
        Self { address, task }
    }

    async fn close(self) -> SocketAddr {
        self.task.abort();
        let _ = self.task.await;
        self.address
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_said_and_passes() {
    let scratch = Scratch::new();
    let passage = Passage::open("127.0.0.1:0".parse().unwrap(), host()).await;
    let url = format!(
        "mongodb://{}/{}?directConnection=true",
        passage.address, scratch.name
    );
    let opened = MongoStore::open(&url, scratch.folder.path(), quick()).await;
    let store: Arc<dyn Store> = Arc::new(opened.unwrap());
    declare(&store).await;
    apply(&store, vec![insert(1, doc! { "a": 1 })]).await;
    let address = passage.close().await;
    let change = || {
        writes(vec![crate::store::conformance::change(
            1,
            vec![set("a", 2)],
        )])
    };
    let refused = store.commit(change()).await.unwrap_err();
    assert!(
        matches!(refused, CommitError::Store(StoreError::Unavailable(_))),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .starts_with("the store can't be reached: "),
        "{refused}"
    );
    for refused in [
        store.get("things", id(1)).await.err(),
        store.list(&all(Filter::All)).await.err(),
        store.select("things", &Filter::All, None, 1).await.err(),
        store
            .declare(&[crate::store::conformance::plain()])
            .await
            .err(),
        store.files("sample", None, 1).await.err(),
    ] {
        assert!(
            matches!(refused, Some(StoreError::Unavailable(_))),
            "{refused:?}"
        );
    }
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let store = Arc::clone(&store);
        askers.spawn(async move { store.administrative_revision().await });
    }
    // Each alone would wait for a node: together that took more than a minute.
    let answers = tokio::time::timeout(Duration::from_secs(30), askers.join_all()).await;
    for answer in answers.unwrap() {
        assert!(
            matches!(answer, Err(StoreError::Unavailable(_))),
            "{answer:?}"
        );
    }
    let passage = Passage::open(address, host()).await;
    loop {
        match store.commit(change()).await {
            Ok(()) => break,
            Err(CommitError::Store(StoreError::Unavailable(_))) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(stored(&store, 1).await.revision > 0);
    store.close().await.unwrap();
    passage.close().await;
}
