"""The network in the template: what it costs, and who can reach what."""

from tests.stack.support.template import (
    DEFINITIONS,
    ENVIRONMENTS,
    PARAMETERS,
    RESOURCES,
    TEMPLATE,
    of_type,
    properties,
)


def test_zones_are_the_region_s_unless_they_are_given():
    """Three subnets are in the first three zones of the region, or in those that are asked for."""
    for index in range(3):
        zone = properties(f"BatchSubnet{index + 1}")["AvailabilityZone"]
        given, wanted, otherwise = zone["If"]
        assert (given, wanted) == (f"AZ{index + 1}Given", {"Ref": f"AZ{index + 1}"})
        assert otherwise == {"Select": [index, {"GetAZs": ""}]}


def test_the_third_zone_is_left_out_where_there_are_two():
    """Most accounts see two zones in us-west-1: a third subnet is made there only if asked for."""
    needs_vpc, where = TEMPLATE["Conditions"]["ThirdZone"]["And"]
    assert needs_vpc == {"Condition": "MakesVPC"}
    assert where["Or"][0] == {"Condition": "AZ3Given"}
    assert where["Or"][1] == {"Not": [{"Equals": [{"Ref": "AWS::Region"}, "us-west-1"]}]}


def test_an_idle_network_costs_nothing():
    """There is no NAT gateway and no interface endpoint; the gateway endpoint for S3 is free."""
    assert not of_type("AWS::EC2::NatGateway")
    (endpoint,) = of_type("AWS::EC2::VPCEndpoint").values()
    assert endpoint["Properties"]["VpcEndpointType"] == "Gateway"
    assert endpoint["Properties"]["RouteTableIds"] == [{"Ref": "BatchRoutes"}]


def test_jobs_reach_the_internet_without_a_gateway_that_costs():
    """Instances get public addresses from their subnets, Fargate's jobs by the definition."""
    assert all(properties(f"BatchSubnet{n}")["MapPublicIpOnLaunch"] is True for n in (1, 2, 3))
    assert properties("BatchInternetRoute")["GatewayId"] == {"Ref": "BatchInternetGateway"}
    for name in DEFINITIONS:
        network = properties(name)["ContainerProperties"]["NetworkConfiguration"]["If"]
        assert network[:2] == ["OnFargate", {"AssignPublicIp": {"Ref": "AssignPublicIp"}}]
    assert PARAMETERS["AssignPublicIp"]["Default"] == "ENABLED"


def test_nothing_can_come_in():
    """The security group has no inbound rule, and no other resource adds one."""
    assert "SecurityGroupIngress" not in properties("BatchSecurityGroup")
    assert not of_type("AWS::EC2::SecurityGroupIngress")


def test_a_user_s_vpc_takes_the_place_of_the_stack_s():
    """With VpcId, the stack makes only a security group, and jobs run in the given subnets."""
    network = {
        n
        for n, r in RESOURCES.items()
        if r["Type"].startswith("AWS::EC2::") and "LaunchTemplate" not in n
    }
    assert all(
        RESOURCES[n].get("Condition") in ("MakesVPC", "ThirdZone")
        for n in network - {"BatchSecurityGroup"}
    )
    assert properties("BatchSecurityGroup")["VpcId"]["If"] == [
        "MakesVPC",
        {"Ref": "BatchVPC"},
        {"Ref": "VpcId"},
    ]
    for name in ENVIRONMENTS:
        assert properties(name)["ComputeResources"]["Subnets"]["If"][2] == {"Ref": "SubnetIds"}
    assert TEMPLATE["Rules"]["SubnetsAreGivenWithTheirVPC"]["Assertions"][0]["Assert"]


def test_the_gateway_goes_after_what_uses_it():
    """AWS detaches no gateway while public addresses are in use, so subnets go before it."""
    assert all(
        RESOURCES[f"BatchSubnet{n}"]["DependsOn"] == "BatchInternetAttachment" for n in (1, 2, 3)
    )
