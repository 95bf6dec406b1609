"""Static files while developing."""


def test_a_static_file_is_served_whole(client):
    response = client.get("/static/hub/tokens.css")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/css"
    assert b"--" in response.content


def test_a_path_cannot_climb_out(client):
    for path in ("../settings.py", "hub/../../../config/settings.py", "%2e%2e/manage.py", "hub"):
        assert client.get(f"/static/{path}").status_code in (400, 404)
